// HMAC-SHA-256 (RFC 2104) of several messages under one key, two at once where the processor has
// SHA-NI.
#ifndef EMBER_COMMON_CRYPTO_HMAC_BATCH_H_
#define EMBER_COMMON_CRYPTO_HMAC_BATCH_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ember {

// SHA-256's compression function (FIPS 180-4, 6.2.2) over `blocks` times 64 bytes.
struct Sha256Kernel {
  const char* name;
  void (*compress)(uint32_t* state, const unsigned char* data, size_t blocks);
  // Two independent ones interleaved: each waits for its own last round most of the time.
  void (*compress_two)(uint32_t* state, const unsigned char* data, uint32_t* other_state,
                       const unsigned char* other_data, size_t blocks);
};

// Null without SHA-NI.
const Sha256Kernel* ShaNiKernel();
// `candidate` if HMACs made with it equal OpenSSL's on fixed messages; else null, with a warning in
// the log.
const Sha256Kernel* SoundSha256Kernel(const Sha256Kernel* candidate);
// What this process uses, found once; null: OpenSSL.
const Sha256Kernel* BestSha256Kernel();

// The key's two blocks are compressed once, here. Immutable; safe for concurrent use.
class HmacSha256Key {
 public:
  // Without `kernel` OpenSSL computes.
  explicit HmacSha256Key(absl::string_view key, const Sha256Kernel* kernel = BestSha256Kernel());
  ~HmacSha256Key();  // overwrites the key
  HmacSha256Key(const HmacSha256Key&) = delete;
  HmacSha256Key& operator=(const HmacSha256Key&) = delete;

  const std::string& key() const { return key_; }
  const Sha256Kernel* kernel() const { return kernel_; }
  const uint32_t* inner() const { return inner_.data(); }
  const uint32_t* outer() const { return outer_.data(); }

 private:
  std::string key_;
  const Sha256Kernel* kernel_;
  std::array<uint32_t, 8> inner_{};
  std::array<uint32_t, 8> outer_{};
};

// The code is over `prefix`, one byte, and then `data`.
struct HmacMessage {
  unsigned char prefix = 0;
  absl::string_view data;
};
using HmacCode = std::array<char, 32>;

// codes[i] is that of messages[i]; both have the same size. Messages of similar lengths side by
// side are fastest. Safe for concurrent use.
void HmacSha256Batch(const HmacSha256Key& key, absl::Span<const HmacMessage> messages,
                     absl::Span<HmacCode> codes);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_HMAC_BATCH_H_
