// HMAC-SHA-256 (RFC 2104) of several messages under one key: two at once where the processor has
// SHA-NI, sixteen with AVX-512.
#ifndef EMBER_COMMON_CRYPTO_HMAC_BATCH_H_
#define EMBER_COMMON_CRYPTO_HMAC_BATCH_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ember {

// SHA-256's compression function (FIPS 180-4, 6.2.2), 64 bytes a block,
// of independent messages side by side.
struct Sha256Kernel {
  const char* name;
  size_t lanes;  // messages at once
  size_t worth;  // for fewer messages OpenSSL is not slower
  // The next `blocks` blocks of each of `count` messages, 1 to `lanes`.
  void (*compress)(uint32_t* const* states, const unsigned char* const* data, size_t count,
                   size_t blocks);
};
inline constexpr size_t kSha256LanesMax = 16;

// Two interleaved: each waits for its own last round most of the time. Null without SHA-NI.
const Sha256Kernel* ShaNiKernel();
// Null without AVX-512 (Foundation and byte words).
const Sha256Kernel* Avx512Sha256Kernel();
// Each for as many messages as it is the faster one for. Null unless both are there.
const Sha256Kernel* MixedSha256Kernel();
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
