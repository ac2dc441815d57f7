#include "common/backup/chunker.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/base/limits.h"
#include "common/crypto/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::backup {
namespace {

using ember::testing::Noise;

const std::string kKey(32, 'k');

// Ends of the chunks, the last one included.
std::vector<size_t> CutAll(const Chunker& chunker, absl::string_view data) {
  std::vector<size_t> ends;
  size_t end = 0;
  while (end < data.size()) {
    end += chunker.Cut(data.substr(end));
    ends.push_back(end);
  }
  return ends;
}

std::vector<size_t> Sizes(const std::vector<size_t>& ends) {
  std::vector<size_t> sizes;
  size_t from = 0;
  for (const size_t end : ends) {
    sizes.push_back(end - from);
    from = end;
  }
  return sizes;
}

// The data arrives in pieces of unlike sizes; a chunk is taken as soon as it is final.
std::vector<size_t> CutFed(const Chunker& chunker, absl::string_view data, size_t max) {
  std::vector<size_t> ends;
  size_t begin = 0, have = 0, piece = 1;
  while (begin < data.size()) {
    const absl::string_view known = data.substr(begin, have - begin);
    const size_t cut = known.empty() ? 0 : chunker.Cut(known);
    const bool final =
        !known.empty() && (cut < known.size() || known.size() >= max || have == data.size());
    if (final) {
      begin += cut;
      ends.push_back(begin);
      continue;
    }
    piece = piece * 7 % 262139 + 1;
    have = std::min(data.size(), have + piece);
  }
  return ends;
}

std::string Structured(size_t size) {
  std::string data;
  for (size_t i = 0; data.size() < size; ++i) {
    data += "line " + std::to_string(i % 9973) + " of a log that goes on and on\n";
    if (i % 5000 == 0) data.append(70000, '\0');
    if (i % 7000 == 0) data.append(9000, 'x');
  }
  data.resize(size);
  return data;
}

// SHA-256 of the ends as 64-bit little-endian words.
std::string Fingerprint(const std::vector<size_t>& ends) {
  std::string bytes;
  for (const uint64_t end : ends) {
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(end >> (8 * i)));
  }
  return Sha256Hex(bytes);
}

struct Bounds {
  Profile profile;
  size_t min, target, max, step;
};

class ChunkerProfile : public ::testing::TestWithParam<Bounds> {
 protected:
  const Bounds& b() const { return GetParam(); }
  Chunker New(absl::string_view key = kKey) const { return Chunker(key, b().profile); }
};

TEST_P(ChunkerProfile, ChunksCoverTheDataAndKeepTheBounds) {
  for (const std::string& data : {Noise(1, (16 << 20) + 12345), Structured(9 << 20)}) {
    const std::vector<size_t> ends = CutAll(New(), data);
    EXPECT_EQ(ends.back(), data.size());
    const std::vector<size_t> sizes = Sizes(ends);
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_LE(sizes[i], b().max);
      if (i + 1 < sizes.size()) {
        EXPECT_GE(sizes[i], b().min);
        EXPECT_EQ(sizes[i] % b().step, 0u);
      }
    }
  }
}

TEST_P(ChunkerProfile, TheMeanIsNearTheTarget) {
  const std::string data = Noise(2, 96 << 20);
  const double mean =
      static_cast<double>(data.size()) / static_cast<double>(CutAll(New(), data).size());
  EXPECT_GT(mean, 0.85 * static_cast<double>(b().target));
  EXPECT_LT(mean, 1.15 * static_cast<double>(b().target));
}

TEST_P(ChunkerProfile, ShortDataIsOneChunk) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{31}, size_t{63}, b().min - 1, b().min})
    EXPECT_EQ(New().Cut(Noise(3, size)), size);
}

TEST_P(ChunkerProfile, HowTheDataArrivesDoesNotMatter) {
  const std::string data = Noise(4, 6 << 20);
  EXPECT_EQ(CutFed(New(), data, b().max), CutAll(New(), data));
}

TEST_P(ChunkerProfile, ACutDoesNotDependOnWhatFollows) {
  const std::string data = Noise(5, 4 << 20);
  const size_t cut = New().Cut(data);
  ASSERT_LT(cut, b().max);
  EXPECT_EQ(New().Cut(absl::string_view(data).substr(0, cut + 1)), cut);
  std::string other = data;
  std::fill(other.begin() + static_cast<ptrdiff_t>(cut), other.end(), 'z');
  EXPECT_EQ(New().Cut(other), cut);
}

// Before the edit nothing changes; behind it the first common cut ends the difference, and comes
// soon.
TEST_P(ChunkerProfile, AnEditIsForgottenSoon) {
  const std::string data = Noise(6, 16 << 20);
  const std::vector<size_t> before = CutAll(New(), data);
  for (const size_t at : {size_t{0}, size_t{1000}, size_t{5000000}, size_t{9999999}}) {
    const size_t place = at - at % b().step;
    std::string edited = data;
    edited.insert(place, Noise(7 + at, b().step == 1 ? 7 : b().step));
    const size_t shift = edited.size() - data.size();
    std::vector<size_t> after = CutAll(New(), edited);
    const auto in_front = [&](size_t end) { return end < place; };
    EXPECT_EQ(
        std::vector<size_t>(before.begin(),
                            std::find_if_not(before.begin(), before.end(), in_front)),
        std::vector<size_t>(after.begin(), std::find_if_not(after.begin(), after.end(), in_front)));
    std::set<size_t> old;
    for (const size_t end : before) old.insert(end + shift);
    size_t fresh = 0, common = 0;
    for (const size_t end : after) {
      if (end <= place + shift) continue;
      if (common == 0 && old.count(end) != 0) common = end;
      fresh += old.count(end) == 0;
      EXPECT_TRUE(common == 0 || old.count(end) != 0) << "the cuts part again at " << end;
    }
    ASSERT_NE(common, 0u);
    EXPECT_LE(common, place + 3 * b().max) << at;
    EXPECT_LE(fresh, 8u) << at;
  }
}

TEST_P(ChunkerProfile, AnotherKeyCutsElsewhere) {
  const std::string data = Noise(8, 16 << 20);
  const std::vector<size_t> ends = CutAll(New(), data);
  const std::vector<size_t> others = CutAll(New(std::string(32, 'l')), data);
  const std::set<size_t> known(ends.begin(), ends.end());
  size_t common = 0;
  for (const size_t end : others) common += known.count(end);
  // Two draws out of the positions of a block grid meet now and then; out of all bytes hardly ever.
  EXPECT_LE(common, b().step == 1 ? 2 : others.size() / 5);
}

// All windows, or blocks, of a run have one value: it is a cut everywhere or nowhere.
TEST_P(ChunkerProfile, RunsOfOneByteAreCutEvenly) {
  for (const char byte : {'\0', '\xff', 'x'}) {
    const std::string run(4 << 20, byte);
    const std::vector<size_t> sizes = Sizes(CutAll(New(), run));
    if (b().step == 1) {
      EXPECT_EQ(sizes.front(), b().max);
    } else {
      EXPECT_THAT(sizes.front(), ::testing::AnyOf(b().min, b().target, b().max));
    }
    for (const size_t size : sizes) EXPECT_EQ(size, sizes.front());
  }
}

TEST_P(ChunkerProfile, EveryKernelCutsAlike) {
  std::string runs = Noise(9, 300000) + std::string(2 << 20, '\0') + Noise(9, 300000) +
                     std::string(100000, '\xff');
  for (const std::string& data : {Noise(10, (3 << 20) + 77), Structured(3 << 20), runs}) {
    const std::vector<size_t> expected =
        CutAll(Chunker(kKey, b().profile, PortableCutKernel()), data);
    for (const CutKernel* kernel : CutKernels())
      EXPECT_EQ(CutAll(Chunker(kKey, b().profile, *kernel), data), expected) << kernel->name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ChunkerProfile,
    ::testing::Values(Bounds{Profile::kStream, kChunkMin, kChunkTarget, kChunkMax, 1},
                      Bounds{Profile::kBlock, kBlockChunkMin, kBlockChunkTarget, kBlockChunkMax,
                             kCutBlockBytes}),
    [](const auto& info) { return info.param.profile == Profile::kStream ? "Stream" : "Block"; });

// A change here would send every file of every estate anew. The figures come from an implementation
// of docs/formats.md that shares no code with this one.
TEST(Chunker, CutsAsItAlwaysDid) {
  EXPECT_THAT(Sizes(CutAll(Chunker(kKey), Noise(6, 2000000))),
              ::testing::ElementsAre(274389, 340882, 477703, 304776, 214933, 187372, 199945));
  EXPECT_THAT(Sizes(CutAll(Chunker(kKey, Profile::kBlock), Noise(6, 500000))),
              ::testing::ElementsAre(45056, 77824, 143360, 118784, 86016, 28960));
  const std::string mixed = Noise(11, 2 << 20) + Structured(2 << 20);
  EXPECT_EQ(Fingerprint(CutAll(Chunker(kKey), mixed)),
            "bc5bb037bec86aa9cc75a45a1aeacac2cfc6ff18c4316a1c182d81f45782dafc");
  EXPECT_EQ(Fingerprint(CutAll(Chunker(kKey, Profile::kBlock), mixed)),
            "41de16137cb56c6b274c7718a5d24b8af879d00340c4e59379209a82052436ae");
}

}  // namespace
}  // namespace ember::backup
