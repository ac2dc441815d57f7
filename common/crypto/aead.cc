#include "common/crypto/aead.h"

#include <algorithm>
#include <array>

#include "common/crypto/openssl.h"

namespace ember {
namespace {

using CipherCtxPtr = OpenSslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using Nonce = std::array<unsigned char, 12>;

// One EVP call takes an int; larger input goes in steps.
constexpr size_t kStep = size_t{1} << 30;

const EVP_CIPHER* Algorithm() {
  static EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CheckOpenSsl(algorithm != nullptr, "fetch AES-256-GCM");
  return algorithm;
}

// One context per thread and direction: making one costs more than sealing a small record.
EVP_CIPHER_CTX* Context(bool seal) {
  thread_local const std::array<CipherCtxPtr, 2> contexts = {CipherCtxPtr(EVP_CIPHER_CTX_new()),
                                                             CipherCtxPtr(EVP_CIPHER_CTX_new())};
  CheckOpenSsl(contexts[seal] != nullptr, "EVP_CIPHER_CTX_new");
  return contexts[seal].get();
}

Nonce ToNonce(uint64_t counter) {
  Nonce nonce{};
  for (int i = 0; i < 8; ++i) nonce[11 - i] = static_cast<unsigned char>(counter >> (8 * i));
  return nonce;
}

bool Start(EVP_CIPHER_CTX* context, bool seal, absl::string_view key, uint64_t nonce) {
  return EVP_CipherInit_ex(context, Algorithm(), nullptr, Bytes(key), ToNonce(nonce).data(),
                           seal ? 1 : 0) == 1;
}

// `out` null: additional data.
bool Feed(EVP_CIPHER_CTX* context, absl::string_view in, unsigned char* out) {
  while (!in.empty()) {
    const size_t step = std::min(in.size(), kStep);
    int written = 0;
    if (EVP_CipherUpdate(context, out, &written, Bytes(in), static_cast<int>(step)) != 1)
      return false;
    if (out != nullptr) out += written;
    in.remove_prefix(step);
  }
  return true;
}

}  // namespace

std::string Seal(absl::string_view key, uint64_t nonce, absl::string_view aad,
                 absl::string_view plaintext) {
  CheckOpenSsl(key.size() == kAeadKeyBytes, "Seal: key of the wrong size");
  EVP_CIPHER_CTX* const context = Context(true);
  std::string sealed(plaintext.size() + kAeadTagBytes, '\0');
  unsigned char* const tag = Bytes(sealed) + plaintext.size();
  int written = 0;
  CheckOpenSsl(Start(context, true, key, nonce) && Feed(context, aad, nullptr) &&
                   Feed(context, plaintext, Bytes(sealed)) &&
                   EVP_CipherFinal_ex(context, tag, &written) == 1 &&
                   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) == 1,
               "AES-256-GCM seal");
  return sealed;
}

absl::StatusOr<std::string> Open(absl::string_view key, uint64_t nonce, absl::string_view aad,
                                 absl::string_view sealed) {
  if (key.size() != kAeadKeyBytes)
    return absl::DataLossError("cannot decrypt: the key has the wrong size");
  if (sealed.size() < kAeadTagBytes)
    return absl::DataLossError("cannot decrypt: shorter than its check value");
  const absl::string_view ciphertext = sealed.substr(0, sealed.size() - kAeadTagBytes);
  std::string tag(sealed.substr(ciphertext.size()));
  EVP_CIPHER_CTX* const context = Context(false);
  std::string plaintext(ciphertext.size(), '\0');
  CheckOpenSsl(
      Start(context, false, key, nonce) && Feed(context, aad, nullptr) &&
          Feed(context, ciphertext, Bytes(plaintext)) &&
          EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1,
      "AES-256-GCM open");
  int written = 0;
  if (EVP_CipherFinal_ex(context, Bytes(plaintext) + plaintext.size(), &written) != 1) {
    TakeOpenSslError();
    return absl::DataLossError(
        "cannot decrypt: damaged, or sealed with another key or for another place");
  }
  return plaintext;
}

}  // namespace ember
