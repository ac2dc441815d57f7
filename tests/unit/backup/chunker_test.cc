#include "common/backup/chunker.h"

#include <set>
#include <string>
#include <vector>

#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::backup {
namespace {

using ember::testing::Noise;

std::vector<size_t> CutAll(const Chunker& chunker, absl::string_view data) {
  std::vector<size_t> sizes;
  while (!data.empty()) {
    sizes.push_back(chunker.Cut(data));
    data.remove_prefix(sizes.back());
  }
  return sizes;
}

std::set<std::string> Chunks(const Chunker& chunker, absl::string_view data) {
  std::set<std::string> chunks;
  for (const size_t size : CutAll(chunker, data)) {
    chunks.emplace(data.substr(0, size));
    data.remove_prefix(size);
  }
  return chunks;
}

const std::string kKey(32, 'k');

TEST(Chunker, CutsKeepTheBounds) {
  const Chunker chunker(kKey);
  const std::string data = Noise(1, 64 << 20);
  const std::vector<size_t> sizes = CutAll(chunker, data);
  size_t total = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    total += sizes[i];
    EXPECT_LE(sizes[i], kChunkMax);
    if (i + 1 < sizes.size()) {
      EXPECT_GE(sizes[i], kChunkMin);
    }
  }
  EXPECT_EQ(total, data.size());
  const size_t mean = data.size() / sizes.size();
  EXPECT_GT(mean, kChunkTarget * 3 / 4);
  EXPECT_LT(mean, kChunkTarget * 3 / 2);
}

TEST(Chunker, ShortDataIsOneChunk) {
  const Chunker chunker(kKey);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{63}, kChunkMin - 1, kChunkMin}) {
    EXPECT_EQ(chunker.Cut(Noise(2, size)), size);
  }
}

TEST(Chunker, EqualBytesAreCutAtTheMaximum) {
  const Chunker chunker(kKey);
  EXPECT_EQ(chunker.Cut(std::string(3 << 20, '\0')), kChunkMax);
}

TEST(Chunker, ACutDoesNotDependOnWhatFollows) {
  const Chunker chunker(kKey);
  const std::string data = Noise(3, 2 << 20);
  const size_t cut = chunker.Cut(data);
  ASSERT_LT(cut, kChunkMax);
  EXPECT_EQ(chunker.Cut(absl::string_view(data).substr(0, cut + 1)), cut);
}

TEST(Chunker, AnEditChangesFewChunks) {
  const Chunker chunker(kKey);
  const std::string data = Noise(4, 16 << 20);
  const std::set<std::string> before = Chunks(chunker, data);
  for (const size_t at : {size_t{0}, size_t{5000000}, data.size() - 10}) {
    std::string edited = data;
    edited.insert(at, "seven!!");
    size_t fresh = 0;
    for (const std::string& chunk : Chunks(chunker, edited)) fresh += before.count(chunk) == 0;
    EXPECT_LE(fresh, 3u) << at;
    EXPECT_GE(fresh, 1u) << at;
  }
}

TEST(Chunker, AnotherKeyCutsElsewhere) {
  const std::string data = Noise(5, 8 << 20);
  EXPECT_NE(CutAll(Chunker(kKey), data), CutAll(Chunker(std::string(32, 'l')), data));
}

// A change here would send every file of every estate anew.
TEST(Chunker, CutsAsItAlwaysDid) {
  EXPECT_THAT(
      CutAll(Chunker(kKey), Noise(6, 2000000)),
      ::testing::ElementsAre(336989, 132719, 287639, 241829, 288733, 287835, 295441, 128815));
}

}  // namespace
}  // namespace ember::backup
