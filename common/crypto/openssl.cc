#include "common/crypto/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace ember {
namespace {

// An encrypted key must fail, never ask the terminal for a pass phrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

BioPtr ReadOnly(absl::string_view data) {
  BioPtr bio(BIO_new_mem_buf(data.data(), static_cast<int>(data.size())));
  CheckOpenSsl(bio != nullptr, "BIO_new_mem_buf");
  return bio;
}

}  // namespace

std::string TakeOpenSslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : absl::StrCat("error ", code);
}

void CheckOpenSsl(bool ok, absl::string_view what) {
  if (ok) return;
  LogError("crypto", "the cryptographic library failed",
           {{"call", what}, {"error", TakeOpenSslError()}});
  abort();
}

absl::StatusOr<X509Ptr> CertificateFromPem(absl::string_view pem) {
  X509Ptr certificate(PEM_read_bio_X509(ReadOnly(pem).get(), nullptr, NoPassphrase, nullptr));
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a certificate in PEM form: ", TakeOpenSslError()));
  }
  return certificate;
}

absl::StatusOr<PkeyPtr> PrivateKeyFromPem(absl::string_view pem) {
  PkeyPtr key(PEM_read_bio_PrivateKey(ReadOnly(pem).get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a private key in PEM form: ", TakeOpenSslError()));
  }
  return key;
}

std::string ToPem(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  CheckOpenSsl(bio != nullptr && PEM_write_bio_X509(bio.get(), certificate) == 1,
               "PEM_write_bio_X509");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size);
}

}  // namespace ember
