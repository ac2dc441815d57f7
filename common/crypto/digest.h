// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104).
#ifndef EMBER_COMMON_CRYPTO_DIGEST_H_
#define EMBER_COMMON_CRYPTO_DIGEST_H_

#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace ember {

// 32 bytes.
std::string Sha256(absl::string_view data);
// Lower-case hex, 64 characters.
std::string Sha256Hex(absl::string_view data);

// A running SHA-256. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(absl::string_view data);
  std::string Finish();  // 32 bytes; once

 private:
  void* context_;
};

// 32 bytes over the concatenation of `parts`. Safe for concurrent use.
std::string HmacSha256(absl::string_view key, std::initializer_list<absl::string_view> parts);

// HKDF-SHA-256 (RFC 5869), `size` bytes.
std::string HkdfSha256(absl::string_view secret, absl::string_view salt, absl::string_view info, size_t size);

// Compares without an early exit.
bool SecretEqual(absl::string_view a, absl::string_view b);

// `size` bytes from the system's generator.
std::string RandomBytes(size_t size);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_DIGEST_H_
