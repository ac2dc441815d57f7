#include "common/crypto/signature.h"

#include "common/base/status.h"
#include "common/crypto/openssl.h"

namespace ember {
namespace {

using MdCtxPtr = OpenSslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;

MdCtxPtr NewContext() {
  MdCtxPtr context(EVP_MD_CTX_new());
  CheckOpenSsl(context != nullptr, "EVP_MD_CTX_new");
  return context;
}

}  // namespace

absl::StatusOr<std::string> SignMessage(absl::string_view key_pem, absl::string_view message) {
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, PrivateKeyFromPem(key_pem));
  const MdCtxPtr context = NewContext();
  size_t size = 0;
  CheckOpenSsl(
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
          EVP_DigestSign(context.get(), nullptr, &size, Bytes(message), message.size()) == 1,
      "EVP_DigestSignInit");
  std::string signature(size, '\0');
  CheckOpenSsl(EVP_DigestSign(context.get(), Bytes(signature), &size, Bytes(message),
                              message.size()) == 1,
               "EVP_DigestSign");
  signature.resize(size);
  return signature;
}

absl::Status CheckSignature(absl::string_view certificate_pem, absl::string_view message,
                            absl::string_view signature) {
  EMBER_ASSIGN_OR_RETURN(const X509Ptr certificate, CertificateFromPem(certificate_pem));
  const MdCtxPtr context = NewContext();
  const bool genuine =
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr,
                           X509_get0_pubkey(certificate.get())) == 1 &&
      EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                       message.size()) == 1;
  TakeOpenSslError();
  return genuine ? absl::OkStatus() : absl::PermissionDeniedError("the signature is not genuine");
}

}  // namespace ember
