#include "common/vault/live_ids.h"

#include <algorithm>

#include "common/base/ids.h"
#include "common/crypto/digest.h"
#include "common/vault/framed.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::vault {
namespace {

using ember::testing::IsOk;
using ember::testing::MemoryStore;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LiveIdsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(state_, VaultState::Open(directory_.Join("state")));
    ASSERT_OK_AND_ASSIGN(backups_, StoredBackups::Load(store_, *state_));
  }
  void Put(int number, std::vector<std::string> ids) {
    std::sort(ids.begin(), ids.end());
    std::string body;
    for (const std::string& id : ids) body += id;
    ASSERT_OK(PutObject(
        store_,
        BackupObject(kRefs, BackupTail("host1", static_cast<uint64_t>(number), "20260101-000001")),
        Frame(kRefsMagic, body)));
  }
  // All ids in their ranges, checked: ascending, within, one range after the other.
  std::vector<absl::uint128> All(size_t bytes_max, int* ranges = nullptr) {
    auto live = LiveIds::Open(store_, *backups_, {}, bytes_max);
    EXPECT_OK(live);
    std::vector<absl::uint128> all;
    std::string begin(16, '\0');
    while (true) {
      const auto range = (*live)->Next();
      EXPECT_OK(range);
      if (!range.ok() || !*range) break;
      if (ranges != nullptr) ++*ranges;
      EXPECT_EQ((*range)->from, begin);
      begin = (*range)->to;
      const auto& ids = (*live)->ids();
      EXPECT_LE(ids.size() * 16, bytes_max);
      for (const absl::uint128 id : ids) {
        EXPECT_TRUE(all.empty() || all.back() < id);
        EXPECT_TRUE(begin.empty() || id < PrefixOf(begin));
        all.push_back(id);
      }
    }
    EXPECT_EQ(begin, "");
    return all;
  }
  static std::vector<absl::uint128> Expected(std::vector<std::string> ids) {
    std::vector<absl::uint128> prefixes;
    for (const std::string& id : ids) prefixes.push_back(PrefixOf(id));
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    return prefixes;
  }

  ember::testing::TempDir directory_;
  MemoryStore store_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<StoredBackups> backups_;
};

TEST_F(LiveIdsTest, OfNoBackupsIsOneEmptyRange) {
  int ranges = 0;
  EXPECT_THAT(All(1024, &ranges), IsEmpty());
  EXPECT_EQ(ranges, 1);
}

TEST_F(LiveIdsTest, MergesSetsThatOverlap) {
  std::vector<std::string> everything;
  for (int set = 1; set <= 5; ++set) {
    std::vector<std::string> ids;
    for (int n = set * 100; n < set * 100 + 300; ++n) ids.push_back(Sha256(absl::StrCat(n)));
    everything.insert(everything.end(), ids.begin(), ids.end());
    Put(set, ids);
  }
  for (const size_t bytes_max : {1024, 4096, 1 << 20}) {
    int ranges = 0;
    EXPECT_EQ(All(bytes_max, &ranges), Expected(everything));
    EXPECT_GE(ranges, static_cast<int>(700 * 16 / bytes_max));
  }
}

TEST_F(LiveIdsTest, IdsThatSomebodyChoseDoNotTakeMoreMemory) {
  std::vector<std::string> ids;
  for (int n = 0; n < 5000; ++n) {
    std::string id = Sha256(absl::StrCat(n));
    id.replace(0, 6, "\x80\x01\x02\x03\x04\x05");
    ids.push_back(id);
  }
  ids.push_back(std::string(32, '\0'));
  ids.push_back(std::string(32, '\xff'));
  Put(1, ids);
  Put(2, {ids.begin(), ids.begin() + 2000});
  EXPECT_EQ(All(2048), Expected(ids));
}

TEST_F(LiveIdsTest, NamesTheDomainOfASetThatIsNotWhole) {
  Put(1, {Sha256("a"), Sha256("b")});
  const std::string good = Frame(kRefsMagic, std::string(64, 'a'));  // the same id twice
  const std::string whole = Frame(kRefsMagic, Sha256("c"));
  for (const std::string& bad : {good, whole.substr(0, whole.size() - 1), std::string("short"),
                                 Frame("EMBX", Sha256("c"))}) {
    const std::string object = BackupObject(kRefs, BackupTail("host2", 2, "20260101-000002"));
    ASSERT_OK(PutObject(store_, object, bad));
    ASSERT_OK_AND_ASSIGN(const auto live, LiveIds::Open(store_, *backups_, {}, 1024));
    EXPECT_THAT(live->unknown_domains(), ElementsAre("host2"));
    EXPECT_EQ(live->problems().size(), 1u);
    ASSERT_OK(live->Next());
    EXPECT_EQ(live->ids().size(), 2u);
    ASSERT_OK(store_.Delete(object));
  }
}

}  // namespace
}  // namespace ember::vault
