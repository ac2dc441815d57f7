#include "common/crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "common/crypto/openssl.h"

namespace ember {
namespace {

constexpr size_t kSha256Bytes = 32;

using MdCtxPtr = OpenSslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using MacCtxPtr = OpenSslPtr<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using KdfCtxPtr = OpenSslPtr<EVP_KDF_CTX, EVP_KDF_CTX_free>;

// Fetching an algorithm searches the providers under a lock, so it is done once; never freed.
const EVP_MD* Sha256Algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CheckOpenSsl(algorithm != nullptr, "fetch SHA256");
  return algorithm;
}

MdCtxPtr NewSha256() {
  MdCtxPtr context(EVP_MD_CTX_new());
  CheckOpenSsl(context != nullptr, "EVP_MD_CTX_new");
  return context;
}

OSSL_PARAM Sha256Parameter(const char* key) {
  static char name[] = "SHA256";
  return OSSL_PARAM_construct_utf8_string(key, name, 0);
}

OSSL_PARAM BytesParameter(const char* key, absl::string_view value) {
  // OpenSSL only reads it. A null pointer would mean "absent".
  void* data = value.empty() ? const_cast<char*>("") : const_cast<char*>(value.data());
  return OSSL_PARAM_construct_octet_string(key, data, value.size());
}

// Knows its digest; EVP_MAC_init with another key and no parameters then looks nothing up.
MacCtxPtr NewHmac() {
  EVP_MAC* algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  CheckOpenSsl(algorithm != nullptr, "fetch HMAC");
  MacCtxPtr context(EVP_MAC_CTX_new(algorithm));
  EVP_MAC_free(algorithm);  // the context holds its own reference
  CheckOpenSsl(context != nullptr, "EVP_MAC_CTX_new");
  const OSSL_PARAM parameters[] = {Sha256Parameter(OSSL_MAC_PARAM_DIGEST),
                                   OSSL_PARAM_construct_end()};
  CheckOpenSsl(EVP_MAC_CTX_set_params(context.get(), parameters) == 1, "HMAC digest");
  return context;
}

}  // namespace

std::string Sha256(absl::string_view data) {
  thread_local const MdCtxPtr context = NewSha256();
  std::string digest(kSha256Bytes, '\0');
  CheckOpenSsl(EVP_DigestInit_ex(context.get(), Sha256Algorithm(), nullptr) == 1 &&
                   EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1 &&
                   EVP_DigestFinal_ex(context.get(), Bytes(digest), nullptr) == 1,
               "SHA-256");
  return digest;
}

std::string Sha256Hex(absl::string_view data) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : Sha256(data)) {
    hex.push_back(kHex[byte >> 4]);
    hex.push_back(kHex[byte & 15]);
  }
  return hex;
}

Sha256Stream::Sha256Stream() : context_(NewSha256().release()) {
  CheckOpenSsl(
      EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), Sha256Algorithm(), nullptr) == 1,
      "SHA-256");
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::Update(absl::string_view data) {
  CheckOpenSsl(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size()) == 1,
               "SHA-256");
}

std::string Sha256Stream::Finish() {
  std::string digest(kSha256Bytes, '\0');
  CheckOpenSsl(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), Bytes(digest), nullptr) == 1,
               "SHA-256");
  return digest;
}

std::string HmacSha256(absl::string_view key, std::initializer_list<absl::string_view> parts) {
  thread_local const MacCtxPtr context = NewHmac();
  if (key.empty()) key = "";  // a null key would mean "the one before"
  bool ok = EVP_MAC_init(context.get(), Bytes(key), key.size(), nullptr) == 1;
  for (const absl::string_view part : parts) {
    ok = ok && EVP_MAC_update(context.get(), Bytes(part), part.size()) == 1;
  }
  std::string code(kSha256Bytes, '\0');
  size_t size = 0;
  ok = ok && EVP_MAC_final(context.get(), Bytes(code), &size, code.size()) == 1;
  CheckOpenSsl(ok && size == kSha256Bytes, "HMAC-SHA-256");
  return code;
}

std::string HkdfSha256(absl::string_view secret, absl::string_view salt, absl::string_view info,
                       size_t size) {
  EVP_KDF* algorithm = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  CheckOpenSsl(algorithm != nullptr, "fetch HKDF");
  const KdfCtxPtr context(EVP_KDF_CTX_new(algorithm));
  EVP_KDF_free(algorithm);
  const OSSL_PARAM parameters[] = {
      Sha256Parameter(OSSL_KDF_PARAM_DIGEST), BytesParameter(OSSL_KDF_PARAM_KEY, secret),
      BytesParameter(OSSL_KDF_PARAM_SALT, salt), BytesParameter(OSSL_KDF_PARAM_INFO, info),
      OSSL_PARAM_construct_end()};
  std::string out(size, '\0');
  CheckOpenSsl(
      context != nullptr && EVP_KDF_derive(context.get(), Bytes(out), out.size(), parameters) == 1,
      "HKDF");
  return out;
}

bool SecretEqual(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  CheckOpenSsl(RAND_bytes(Bytes(bytes), static_cast<int>(size)) == 1, "RAND_bytes");
  return bytes;
}

}  // namespace ember
