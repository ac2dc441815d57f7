#include "common/backup/id_set.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "common/backup/known_ids.h"
#include "common/base/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::backup {
namespace {

using ::ember::testing::IsOk;
using ::ember::testing::TempDir;

RecordId IdOf(uint32_t n) {
  RecordId id{};
  // The first byte counts as one without a sign.
  id[0] = static_cast<char>(n * 167);
  for (size_t i = 0; i < sizeof(n); ++i) id[i + 4] = static_cast<char>(n >> (8 * i));
  return id;
}

std::vector<std::string> Listed(const IdSet& set) {
  std::vector<std::string> ids;
  EXPECT_OK(set.Visit([&ids](absl::string_view joined) {
    EXPECT_EQ(joined.size() % sizeof(RecordId), 0u);
    for (const absl::string_view id : SplitIds(joined)) ids.emplace_back(id);
    return absl::OkStatus();
  }));
  return ids;
}

class IdSets : public ::testing::TestWithParam<size_t> {
 protected:
  std::unique_ptr<IdSet> SetOf(const std::vector<uint32_t>& numbers) {
    auto set = std::make_unique<IdSet>(directory_.path(), GetParam());
    for (const uint32_t n : numbers) EXPECT_OK(set->Add(IdOf(n)));
    EXPECT_EQ(set->empty(), numbers.empty());
    EXPECT_OK(set->Sort());
    return set;
  }
  TempDir directory_;
};

TEST_P(IdSets, GivesBackEachIdOnceInOrder) {
  absl::BitGen random;
  for (const int adds : {0, 1, 5, 400, 5000}) {
    for (const uint32_t different : {1u, 50u, 100000u}) {
      std::vector<uint32_t> numbers;
      std::set<std::string> expected;
      for (int i = 0; i < adds; ++i) {
        numbers.push_back(absl::Uniform<uint32_t>(random, 0, different));
        expected.insert(std::string(BytesOf(IdOf(numbers.back()))));
      }
      const auto set = SetOf(numbers);
      EXPECT_EQ(set->size(), expected.size());
      EXPECT_THAT(Listed(*set), ::testing::ElementsAreArray(expected));
      EXPECT_THAT(Listed(*set), ::testing::ElementsAreArray(expected)) << "once more";
    }
  }
}

TEST_P(IdSets, TellWhatOneOfThemLacks) {
  std::vector<uint32_t> all, some;
  std::set<std::string> expected;
  for (uint32_t n = 0; n < 3000; ++n) {
    all.push_back(n);
    if (n % 3 == 0) some.push_back(n);
    if (n % 3 != 0) expected.insert(std::string(BytesOf(IdOf(n))));
  }
  some.push_back(9999);  // of which the other knows nothing
  std::vector<std::string> missing;
  EXPECT_OK(VisitMissing(*SetOf(all), *SetOf(some), [&](const RecordId& id) {
    missing.emplace_back(BytesOf(id));
    return absl::OkStatus();
  }));
  EXPECT_THAT(missing, ::testing::ElementsAreArray(expected));
}

INSTANTIATE_TEST_SUITE_P(InMemoryAndOnDisk, IdSets, ::testing::Values(2, 3, 100, 1 << 20));

TEST(KnownIds, ForgetsTheOlderHalfWhenItIsFull) {
  KnownIds known(10);
  const auto insert = [&known](uint32_t n) { return known.Insert(PrefixOf(IdOf(n))); };
  for (uint32_t n = 0; n < 9; ++n) EXPECT_TRUE(insert(n));
  for (uint32_t n = 0; n < 9; ++n) EXPECT_FALSE(insert(n)) << n;
  EXPECT_FALSE(known.forgot());
  EXPECT_TRUE(insert(9));  // makes the newer half full: the older one goes
  EXPECT_TRUE(known.forgot());
  for (uint32_t n = 5; n < 10; ++n) EXPECT_FALSE(insert(n)) << n;
  EXPECT_TRUE(insert(0));
}

}  // namespace
}  // namespace ember::backup
