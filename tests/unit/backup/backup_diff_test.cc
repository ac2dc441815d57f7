#include "common/backup/backup_diff.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using backup::DiffOptions;
using backup::FileChange;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr char kFirst[] = "web/20260101-000000";
constexpr char kSecond[] = "web/20260102-000000";

class BackupDiff : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 300; ++i) {
      // Inline, grouped, and large enough for records of their own.
      const size_t sizes[] = {100, 3000, 20000, kGroupedFileBytesMax + 5000};
      tree_.Add(absl::StrCat("srv/", 1000 + i), Noise(i, sizes[i % 4]));
    }
  }
  // Reads everything again, so that groups are made anew.
  void BackUpAgain() {
    backup::BackupOptions options = bench_.Options(kSecond);
    options.full = true;
    ASSERT_OK(bench_.Backup(tree_, &vault_, std::move(options)));
  }
  // One line per difference: its letter and path.
  std::vector<std::string> Lines(const DiffOptions& options = {}) {
    const auto before = bench_.Open(&vault_, kFirst);
    const auto after = bench_.Open(&vault_, kSecond);
    EXPECT_OK(before);
    EXPECT_OK(after);
    std::vector<std::string> lines;
    EXPECT_OK(DiffBackups(before->get(), after->get(), options, [&](const FileChange& change) {
      static constexpr char kLetters[] = {'+', '-', '~', 'a'};
      EXPECT_EQ(change.before == nullptr, change.kind == FileChange::Kind::kAdded);
      EXPECT_EQ(change.after == nullptr, change.kind == FileChange::Kind::kRemoved);
      const auto& shown = change.after != nullptr ? *change.after : *change.before;
      lines.push_back(
          absl::StrCat(std::string(1, kLetters[static_cast<int>(change.kind)]), shown.path()));
      return absl::OkStatus();
    }));
    return lines;
  }
  BackupBench bench_;
  MemoryVault vault_;
  FakeTree tree_;
};

TEST_F(BackupDiff, SaysWhatAPersonWouldSay) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.Change("srv/1000", Noise(9000, 90));    // inline
  tree_.Change("srv/1001", Noise(9001, 3000));  // grouped, the same size
  tree_.Change("srv/1003", Noise(9003, kGroupedFileBytesMax + 5000));
  tree_.Remove("srv/1101");  // its group changes, its neighbours do not
  tree_.Add("srv/1101b", Noise(1, 2500));
  tree_.at("srv/1205").entry.set_mode(0600);
  ++tree_.at("srv/1205").version;
  BackUpAgain();
  EXPECT_THAT(Lines(), ElementsAre("~srv/1000", "~srv/1001", "~srv/1003", "-srv/1101", "+srv/1101b",
                                   "asrv/1205"));
  EXPECT_THAT(Lines({.after = "srv/1001"}),
              ElementsAre("~srv/1003", "-srv/1101", "+srv/1101b", "asrv/1205"))
      << "the next page";
  EXPECT_THAT(Lines({.path = "srv/1101"}), ElementsAre("-srv/1101"));
  EXPECT_THAT(Lines({.path = "srv/9"}), IsEmpty());
  EXPECT_THAT(Lines({.path = "srv", .after = "srv/1101b"}), ElementsAre("asrv/1205"));
}

TEST_F(BackupDiff, WhatIsTheSameIsNotSaid) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(BackupDiff, AChangeFarInsideAFileOfManyParts) {
  // So many extents that they do not fit into one entry.
  std::map<int64_t, std::string> data;
  for (int64_t i = 0; i < 3000; ++i) data[i * (1 << 20)] = Noise(i, 500);
  tree_.AddSparse("srv/disk", int64_t{4} << 30, data);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  data[int64_t{2999} << 20] = Noise(77777, 500);
  tree_.Remove("srv/disk");
  tree_.AddSparse("srv/disk", int64_t{4} << 30, data).version = 2;
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_THAT(Lines(), ElementsAre("~srv/disk"));
}

TEST_F(BackupDiff, DamageIsNotTakenForADifference) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.Remove("srv/1101");
  BackUpAgain();
  int groups = 0;
  vault_.ChangeStored([&](v1::Record& record) {
    if (record.type() == format::v1::RecordType::GROUP) {
      (*record.mutable_payload())[0] ^= 1;
      ++groups;
    }
    return true;
  });
  ASSERT_GT(groups, 5);
  ASSERT_OK_AND_ASSIGN(const auto before, bench_.Open(&vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto after, bench_.Open(&vault_, kSecond));
  EXPECT_THAT(backup::DiffBackups(before.get(), after.get(), {},
                                  [](const FileChange&) { return absl::OkStatus(); }),
              HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember::testing
