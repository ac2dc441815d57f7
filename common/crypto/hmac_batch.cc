#include "common/crypto/hmac_batch.h"

#include <string.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/log.h"
#include "common/crypto/digest.h"

namespace ember {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kCodeBytes = 32;
constexpr uint32_t kInitial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void PutBigEndian(uint64_t value, size_t bytes, unsigned char* to) {
  for (size_t i = 0; i < bytes; ++i)
    to[i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
}

// One message on its way: it asks for a run of blocks, its turn comes, it asks for the next run.
class Lane {
 public:
  bool busy() const { return stage_ != kDone; }
  uint32_t* state() { return state_; }
  const unsigned char* next() const { return next_; }
  size_t blocks() const { return blocks_; }

  void Begin(const HmacSha256Key& key, const HmacMessage& message, char* code) {
    key_ = &key;
    code_ = code;
    rest_ = message.data;
    total_ = kBlock + 1 + message.data.size();
    std::copy(key.inner(), key.inner() + 8, state_);
    buffer_[0] = message.prefix;
    if (rest_.size() < kBlock - 1) {
      Pad(1);
      return;
    }
    std::memcpy(buffer_ + 1, rest_.data(), kBlock - 1);
    rest_.remove_prefix(kBlock - 1);
    Ask(kHead, buffer_, 1);
  }

  // The next `blocks` blocks are in the state.
  void Advance(size_t blocks) {
    next_ += blocks * kBlock;
    blocks_ -= blocks;
    if (blocks_ > 0) return;
    switch (stage_) {
      case kHead: {
        const auto* body = reinterpret_cast<const unsigned char*>(rest_.data());
        const size_t whole = rest_.size() / kBlock;
        rest_.remove_prefix(whole * kBlock);
        if (whole > 0) {
          Ask(kBody, body, whole);
        } else {
          Pad(0);
        }
        break;
      }
      case kBody: Pad(0); break;
      case kTail: Outer(); break;
      case kOuter:
        Put(reinterpret_cast<unsigned char*>(code_));
        stage_ = kDone;
        break;
      case kDone: break;
    }
  }

 private:
  enum Stage { kDone, kHead, kBody, kTail, kOuter };

  void Ask(Stage stage, const unsigned char* from, size_t blocks) {
    stage_ = stage;
    next_ = from;
    blocks_ = blocks;
  }

  // What is left of the message behind `used` bytes of the buffer, and FIPS 180-4's padding.
  void Pad(size_t used) {
    std::copy(rest_.begin(), rest_.end(), buffer_ + used);
    Finish(kTail, used + rest_.size());
  }

  void Outer() {
    Put(buffer_);
    std::copy(key_->outer(), key_->outer() + 8, state_);
    total_ = kBlock + kCodeBytes;
    Finish(kOuter, kCodeBytes);
  }

  void Finish(Stage stage, size_t used) {
    buffer_[used++] = 0x80;
    const size_t end = used + 8 <= kBlock ? kBlock : 2 * kBlock;
    std::fill(buffer_ + used, buffer_ + end - 8, 0);
    PutBigEndian(uint64_t{total_} * 8, 8, buffer_ + end - 8);
    Ask(stage, buffer_, end / kBlock);
  }

  void Put(unsigned char* to) const {
    for (int i = 0; i < 8; ++i) PutBigEndian(state_[i], 4, to + 4 * i);
  }

  const HmacSha256Key* key_ = nullptr;
  char* code_ = nullptr;
  absl::string_view rest_;
  size_t total_ = 0;  // bytes hashed, the key's block included
  Stage stage_ = kDone;
  const unsigned char* next_ = nullptr;
  size_t blocks_ = 0;
  uint32_t state_[8] = {};
  unsigned char buffer_[2 * kBlock] = {};
};

}  // namespace

HmacSha256Key::HmacSha256Key(absl::string_view key, const Sha256Kernel* kernel)
    : key_(key), kernel_(kernel) {
  if (kernel == nullptr) return;
  std::string block = key.size() > kBlock ? Sha256(key) : std::string(key);
  block.resize(kBlock, '\0');
  for (auto [state, pad] : {std::pair(&inner_, 0x36), std::pair(&outer_, 0x5c)}) {
    unsigned char padded[kBlock];
    for (size_t i = 0; i < kBlock; ++i) padded[i] = static_cast<unsigned char>(block[i] ^ pad);
    std::copy(kInitial, kInitial + 8, state->begin());
    uint32_t* const states[] = {state->data()};
    const unsigned char* const data[] = {padded};
    kernel->compress(states, data, 1, 1);
  }
}

HmacSha256Key::~HmacSha256Key() {
  explicit_bzero(key_.data(), key_.size());
  explicit_bzero(inner_.data(), sizeof(inner_));
  explicit_bzero(outer_.data(), sizeof(outer_));
}

void HmacSha256Batch(const HmacSha256Key& key, absl::Span<const HmacMessage> messages,
                     absl::Span<HmacCode> codes) {
  assert(messages.size() == codes.size());
  const Sha256Kernel* kernel = key.kernel();
  if (kernel == nullptr || messages.size() < kernel->worth) {
    for (size_t i = 0; i < messages.size(); ++i) {
      const char prefix = static_cast<char>(messages[i].prefix);
      const std::string code =
          HmacSha256(key.key(), {absl::string_view(&prefix, 1), messages[i].data});
      std::copy(code.begin(), code.end(), codes[i].begin());
    }
    return;
  }
  Lane lanes[kSha256LanesMax];
  size_t begun = 0;
  while (true) {
    Lane* busy[kSha256LanesMax];
    uint32_t* states[kSha256LanesMax];
    const unsigned char* data[kSha256LanesMax];
    size_t count = 0, blocks = std::numeric_limits<size_t>::max();
    for (Lane& lane : absl::MakeSpan(lanes, kernel->lanes)) {
      if (!lane.busy() && begun < messages.size()) {
        lane.Begin(key, messages[begun], codes[begun].data());
        ++begun;
      }
      if (!lane.busy()) continue;
      busy[count] = &lane;
      states[count] = lane.state();
      data[count] = lane.next();
      blocks = std::min(blocks, lane.blocks());
      ++count;
    }
    if (count == 0) return;
    kernel->compress(states, data, count, blocks);
    for (size_t i = 0; i < count; ++i) busy[i]->Advance(blocks);
  }
}

const Sha256Kernel* SoundSha256Kernel(const Sha256Kernel* candidate) {
  if (candidate == nullptr) return nullptr;
  const std::string secret(32, 'k');
  std::string data;
  for (int i = 0; i < 1000; ++i) data.push_back(static_cast<char>(i * i % 251));
  std::vector<HmacMessage> messages;
  // More than there are lanes, so that each is used again, of lengths that end at different times.
  for (const size_t size : {0,  1,   54,  55, 62, 63, 64, 127, 128, 700, 1000, 3,
                            65, 119, 120, 56, 57, 58, 59, 200, 300, 400, 500,  600})
    messages.push_back({static_cast<unsigned char>(size), absl::string_view(data).substr(0, size)});
  std::vector<HmacCode> codes(messages.size()), expected(messages.size());
  HmacSha256Batch(HmacSha256Key(secret, candidate), messages, absl::MakeSpan(codes));
  HmacSha256Batch(HmacSha256Key(secret, nullptr), messages, absl::MakeSpan(expected));
  if (codes == expected) return candidate;
  LogWarning("crypto", "a SHA-256 kernel miscomputes on this processor and is not used",
             {{"kernel", candidate->name}});
  return nullptr;
}

const Sha256Kernel* MixedSha256Kernel() {
  static const Sha256Kernel* const few = ShaNiKernel();
  static const Sha256Kernel* const many = Avx512Sha256Kernel();
  // Measured on an EPYC: sixteen lanes do 4.1 GB/s, eleven 2.9, two streams of SHA-NI 2.6.
  constexpr size_t kMany = 11;
  static constexpr Sha256Kernel kKernel = {
      "avx-512 and sha-ni", kSha256LanesMax, 1,
      [](uint32_t* const* states, const unsigned char* const* data, size_t count, size_t blocks) {
        if (count >= kMany) return many->compress(states, data, count, blocks);
        for (size_t i = 0; i < count; i += few->lanes)
          few->compress(states + i, data + i, std::min(few->lanes, count - i), blocks);
      }};
  return few != nullptr && many != nullptr ? &kKernel : nullptr;
}

const Sha256Kernel* BestSha256Kernel() {
  static const Sha256Kernel* const kernel = [] {
    const Sha256Kernel* best = nullptr;
    for (const auto find : {MixedSha256Kernel, ShaNiKernel, Avx512Sha256Kernel}) {
      if (best == nullptr) best = SoundSha256Kernel(find());
    }
    return best;
  }();
  return kernel;
}

}  // namespace ember
