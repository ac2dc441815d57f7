// AES-256-GCM (NIST SP 800-38D).
#ifndef EMBER_COMMON_CRYPTO_AEAD_H_
#define EMBER_COMMON_CRYPTO_AEAD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadTagBytes = 16;

// Ciphertext followed by the tag. The 96-bit nonce is `nonce` big-endian in its last 8 bytes, zero before: the caller
// must never use one nonce twice under one key. `key` is kAeadKeyBytes long.
std::string Seal(absl::string_view key, uint64_t nonce, absl::string_view aad, absl::string_view plaintext);

// DATA_LOSS when anything (key, nonce, aad, bytes) is not what was sealed.
absl::StatusOr<std::string> Open(absl::string_view key, uint64_t nonce, absl::string_view aad,
                                 absl::string_view sealed);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_AEAD_H_
