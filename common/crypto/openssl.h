// Owners for OpenSSL's handles, and its errors as ours. Only files of this directory include it.
#ifndef EMBER_COMMON_CRYPTO_OPENSSL_H_
#define EMBER_COMMON_CRYPTO_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

template <auto Free>
struct OpenSslFree {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
template <typename T, auto Free>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree<Free>>;

inline void FreeNames(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }

using BioPtr = OpenSslPtr<BIO, BIO_free_all>;
using PkeyPtr = OpenSslPtr<EVP_PKEY, EVP_PKEY_free>;
using PkeyCtxPtr = OpenSslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using X509Ptr = OpenSslPtr<X509, X509_free>;
using X509ReqPtr = OpenSslPtr<X509_REQ, X509_REQ_free>;
using NamesPtr = OpenSslPtr<GENERAL_NAMES, FreeNames>;

// The oldest error of this thread's OpenSSL queue as text; empties the queue.
std::string TakeOpenSslError();

// Ends the process when `ok` is false. For calls that fail only without memory or without a working
// OpenSSL: going on would mean backups that are not what they claim to be.
void CheckOpenSsl(bool ok, absl::string_view what);

inline const unsigned char* Bytes(absl::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}
inline unsigned char* Bytes(std::string& data) {
  return reinterpret_cast<unsigned char*>(data.data());
}

// INVALID_ARGUMENT: not PEM of that kind. The first object counts.
absl::StatusOr<X509Ptr> CertificateFromPem(absl::string_view pem);
absl::StatusOr<PkeyPtr> PrivateKeyFromPem(absl::string_view pem);
std::string ToPem(X509* certificate);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_OPENSSL_H_
