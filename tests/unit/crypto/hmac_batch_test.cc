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
  if (ShaNiKernel() != nullptr) kernels.push_back(ShaNiKernel());
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
    const size_t count = random() % 7;
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
  const auto one = [](uint32_t* state, const unsigned char* data, size_t) { state[0] += data[0]; };
  const auto two = [](uint32_t*, const unsigned char*, uint32_t*, const unsigned char*, size_t) {};
  const Sha256Kernel broken = {"broken", one, two};
  EXPECT_EQ(SoundSha256Kernel(&broken), nullptr);
  if (ShaNiKernel() != nullptr) {
    // Only the interleaved half is wrong.
    const Sha256Kernel half = {"half broken", ShaNiKernel()->compress, two};
    EXPECT_EQ(SoundSha256Kernel(&half), nullptr);
    EXPECT_EQ(SoundSha256Kernel(ShaNiKernel()), ShaNiKernel());
  }
  EXPECT_EQ(SoundSha256Kernel(nullptr), nullptr);
}

}  // namespace
}  // namespace ember
