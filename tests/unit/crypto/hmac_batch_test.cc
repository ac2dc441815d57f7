#include "common/crypto/hmac_batch.h"

#include <random>
#include <string>
#include <vector>

#include "common/crypto/digest.h"
#include "gtest/gtest.h"

namespace ember {
namespace {

std::string Noise(size_t size) {
  static std::mt19937_64 random(7);
  std::string noise(size, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  return noise;
}

std::vector<const Sha256Kernel*> Kernels() {
  std::vector<const Sha256Kernel*> kernels = {nullptr};
  for (const Sha256Kernel* kernel : {ShaNiKernel(), Avx512Sha256Kernel(), MixedSha256Kernel()}) {
    if (kernel != nullptr) kernels.push_back(kernel);
  }
  return kernels;
}

// One batch with every kernel against one HMAC at a time.
void ExpectRight(absl::string_view secret, const std::vector<std::string>& data) {
  std::vector<HmacMessage> messages;
  for (size_t i = 0; i < data.size(); ++i)
    messages.push_back({static_cast<unsigned char>(i * 31 + 1), data[i]});
  for (const Sha256Kernel* kernel : Kernels()) {
    const HmacSha256Key key(secret, kernel);
    std::vector<HmacCode> codes(messages.size());
    HmacSha256Batch(key, messages, absl::MakeSpan(codes));
    for (size_t i = 0; i < data.size(); ++i) {
      const std::string prefix(1, static_cast<char>(messages[i].prefix));
      ASSERT_EQ(std::string(codes[i].begin(), codes[i].end()),
                HmacSha256(secret, {prefix, data[i]}))
          << (kernel == nullptr ? "openssl" : kernel->name) << ", " << data[i].size() << " bytes";
    }
  }
}

TEST(HmacBatch, EveryLengthAroundTheBlocksIsRight) {
  std::vector<std::string> data;
  for (size_t size = 0; size <= 300; ++size) data.push_back(Noise(size));
  ExpectRight(std::string(32, 'k'), data);
}

TEST(HmacBatch, UnequalLengthsInOneBatchAreRight) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 30; ++round) {
    std::vector<std::string> data;
    const size_t count = random() % (round % 3 == 0 ? 50 : 7);
    for (size_t i = 0; i < count; ++i)
      data.push_back(Noise(random() % (random() % 3 == 0 ? 200000 : 200)));
    ExpectRight(Noise(32), data);
  }
}

TEST(HmacBatch, KeysOfAnyLengthAreRight) {
  for (const size_t size : {0, 1, 32, 63, 64, 65, 131})
    ExpectRight(Noise(size), {Noise(10), Noise(1000), Noise(64)});
}

TEST(HmacBatch, OneMessageIsABatchToo) {
  ExpectRight("key", {Noise(100001)});
  ExpectRight("key", {});
}

TEST(HmacBatch, ThePrefixCounts) {
  const HmacSha256Key key("key");
  const HmacMessage messages[] = {{1, "same"}, {2, "same"}};
  HmacCode codes[2];
  HmacSha256Batch(key, messages, absl::MakeSpan(codes));
  EXPECT_NE(codes[0], codes[1]);
}

TEST(HmacBatch, AKernelThatMiscomputesIsNotUsed) {
  const auto wrong = [](uint32_t* const* states, const unsigned char* const* data, size_t, size_t) {
    states[0][0] += data[0][0];
  };
  for (const size_t lanes : {size_t{1}, size_t{2}, kSha256LanesMax}) {
    const Sha256Kernel broken = {"broken", lanes, 1, wrong};
    EXPECT_EQ(SoundSha256Kernel(&broken), nullptr);
  }
  for (const Sha256Kernel* kernel : Kernels()) {
    EXPECT_EQ(SoundSha256Kernel(kernel), kernel);
    if (kernel == nullptr) continue;
    // Right for one message, wrong in the last lane when all are full.
    static const Sha256Kernel* whole;
    whole = kernel;
    const Sha256Kernel last_lane = {
        "last lane broken", kernel->lanes, 1,
        [](uint32_t* const* states, const unsigned char* const* data, size_t count, size_t blocks) {
          whole->compress(states, data, count, blocks);
          if (count == whole->lanes) states[count - 1][7] ^= 1;
        }};
    EXPECT_EQ(SoundSha256Kernel(&last_lane), nullptr) << kernel->name;
  }
}

}  // namespace
}  // namespace ember
