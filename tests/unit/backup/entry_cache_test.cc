// What the writer takes from the last backup, and what it does not.
#include "common/backup/entry_cache.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "gtest/gtest.h"
#include "tests/support/memory_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using format::v1::Entry;
using format::v1::EntryType;
constexpr char kFirst[] = "web/20260101-000000";
constexpr char kSecond[] = "web/20260102-000000";
constexpr char kPath[] = "srv/c";

class EntryCache : public ::testing::Test {
 protected:
  void SetUp() override {
    tree_.AddDirectory("srv");
    tree_.Add("srv/a", "inline");
    tree_.Add("srv/b", Noise(1, 5000));
    tree_.Add(kPath, Noise(2, 300000));
    Entry& entry = tree_.at(kPath).entry;
    entry.set_user("owner");
    entry.set_group("group");
    entry.set_inode_flags(64);
    entry.add_xattrs()->set_name("user.x");
    Entry& link = tree_.files()["srv/d"].entry;
    link.set_path("srv/d");
    link.set_type(EntryType::SYMLINK);
    link.set_symlink("a");
    tree_.Add("srv/e", Noise(3, 100));
  }
  std::string cache() const { return bench_.directory.Join("web.cache"); }

  // A backup of the tree as it is now that restores to it.
  void BackUp(const std::string& id) {
    tree_.ForgetOpened();
    ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, id));
    EXPECT_EQ(result.outcome(), v1::Outcome::OK);
    EXPECT_EQ(result.entries(), static_cast<int64_t>(tree_.files().size()));
    EXPECT_EQ(result.size_bytes(), tree_.bytes());
    FakeTarget target;
    ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, id));
    ASSERT_OK(reader->Restore({}, &target, nullptr));
    EXPECT_EQ(Difference(tree_, target), "");
  }

  BackupBench bench_;
  MemoryVault vault_;
  FakeTree tree_;
};

TEST_F(EntryCache, WhatIsUnchangedIsTakenWhole) {
  BackUp(kFirst);
  EXPECT_EQ(tree_.described(), 6);
  for (const std::string id : {kSecond, "web/20260103-000000"}) {
    BackUp(id);
    EXPECT_EQ(tree_.described(), 1) << "the directory";
    EXPECT_EQ(tree_.opened(), 0);
  }
}

TEST_F(EntryCache, WhateverAStatTellsIsCompared) {
  BackUp(kFirst);
  const std::pair<const char*, std::function<void(Entry&)>> changes[] = {
      {"mode", [](Entry& entry) { entry.set_mode(0600); }},
      {"uid", [](Entry& entry) { entry.set_uid(7); }},
      {"gid", [](Entry& entry) { entry.set_gid(7); }},
      {"the name of the owner", [](Entry& entry) { entry.set_user("renamed"); }},
      {"the name of the group", [](Entry& entry) { entry.set_group("renamed"); }},
      {"access time", [](Entry& entry) { entry.set_atime_seconds(7); }},
      {"access time", [](Entry& entry) { entry.set_atime_nanos(7); }},
      {"modification time", [](Entry& entry) { entry.set_mtime_seconds(7); }},
      {"modification time", [](Entry& entry) { entry.set_mtime_nanos(7); }},
      {"change time", [](Entry& entry) { entry.set_ctime_seconds(7); }},
      {"change time", [](Entry& entry) { entry.set_ctime_nanos(7); }},
      {"room on disk", [](Entry& entry) { entry.set_hole_bytes(4096); }},
  };
  int day = 2;
  for (const auto& [what, change] : changes) {
    change(tree_.at(kPath).entry);
    BackUp(absl::StrCat("web/202601", absl::Dec(day++, absl::kZeroPad2), "-000000"));
    EXPECT_EQ(tree_.at(kPath).described, 1) << what;
    EXPECT_EQ(tree_.described(), 2) << what;
    EXPECT_EQ(tree_.opened(), 0) << "the content is the same: " << what;
  }
}

TEST_F(EntryCache, AnotherDeviceAndAnotherTypeAreNoticed) {
  Entry& node = tree_.files()["srv/node"].entry;
  node.set_path("srv/node");
  node.set_type(EntryType::CHARACTER);
  node.set_device(5);
  BackUp(kFirst);
  node.set_device(6);
  BackUp(kSecond);
  EXPECT_EQ(tree_.at("srv/node").described, 1);
  node.set_type(EntryType::BLOCK);
  BackUp("web/20260103-000000");
  EXPECT_EQ(tree_.at("srv/node").described, 1);
}

TEST_F(EntryCache, AStampThatDoesNotCoverMetadataTellsOfContentOnly) {
  // An attribute that could not be read, say.
  tree_.at(kPath).covers_metadata = false;
  BackUp(kFirst);
  tree_.at(kPath).covers_metadata = true;
  tree_.at(kPath).entry.mutable_xattrs(0)->set_value("read at last");
  tree_.at("srv/b").covers_metadata = false;
  tree_.at("srv/b").entry.set_inode_flags(64);
  BackUp(kSecond);
  EXPECT_EQ(tree_.at(kPath).described, 1);
  EXPECT_EQ(tree_.at("srv/b").described, 1);
  EXPECT_EQ(tree_.described(), 3);
  EXPECT_EQ(tree_.opened(), 0);
}

TEST_F(EntryCache, AFileSystemWithoutANameIsReadAgain) {
  for (auto& [path, file] : tree_.files()) file.file_system = "";
  BackUp(kFirst);
  BackUp(kSecond);
  EXPECT_EQ(tree_.described(), 6);
  EXPECT_EQ(tree_.opened(), 4);
}

TEST_F(EntryCache, AnotherFileSystemUnderTheSamePathIsReadAgain) {
  BackUp(kFirst);
  for (auto& [path, file] : tree_.files()) file.file_system = "fs-2";
  BackUp(kSecond);
  EXPECT_EQ(tree_.opened(), 4);
}

TEST_F(EntryCache, WhatComesBetweenAndWhatGoesIsNoticed) {
  BackUp(kFirst);
  tree_.Remove("srv/b");
  tree_.Add("srv/aa", "new");
  tree_.Add("srv/f", "new");
  BackUp(kSecond);
  EXPECT_EQ(tree_.opened(), 2);
  EXPECT_EQ(tree_.described(), 3);
}

// Unchanged entries wait behind a changed one whose group is still open.
TEST_F(EntryCache, OrderIsKeptAmongChangedAndUnchanged) {
  for (int i = 0; i < 3000; ++i) tree_.Add(absl::StrCat("srv/many/", i), Noise(i, 600));
  BackUp(kFirst);
  for (int i = 0; i < 3000; i += 700) tree_.Change(absl::StrCat("srv/many/", i), Noise(-i, 700));
  BackUp(kSecond);
  EXPECT_EQ(tree_.opened(), 5);
  BackUp("web/20260103-000000");
  EXPECT_EQ(tree_.opened(), 0);
}

TEST_F(EntryCache, OneOfAnotherVersionIsIgnored) {
  BackUp(kFirst);
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(cache()));
  constexpr size_t kHeaderBytes = 512;
  ASSERT_EQ(bytes.substr(0, 8), "EMBCACH2");
  bytes[7] = '1';
  const uint32_t crc = Crc32c(absl::string_view(bytes).substr(0, kHeaderBytes - 4));
  std::memcpy(bytes.data() + kHeaderBytes - 4, &crc, 4);
  ASSERT_OK(WriteFileAtomic(cache(), bytes));
  BackUp(kSecond);
  EXPECT_EQ(tree_.opened(), 4);
}

TEST_F(EntryCache, WhereverItIsDamagedTheBackupIsRight) {
  BackUp(kFirst);
  ASSERT_OK_AND_ASSIGN(const std::string whole, ReadFile(cache()));
  int id = 100000;
  for (size_t at = 0; at < whole.size(); at += 41) {
    std::string damaged = whole;
    damaged[at] ^= static_cast<char>(1 << (at % 8));
    ASSERT_OK(WriteFileAtomic(cache(), damaged));
    BackUp(absl::StrCat("web/20260102-", ++id));
    ASSERT_OK(WriteFileAtomic(cache(), whole.substr(0, at)));
    BackUp(absl::StrCat("web/20260103-", ++id));
    EXPECT_EQ(tree_.opened(), 4) << "cut at " << at;
  }
}

TEST_F(EntryCache, KnowsTheIdsAndTheSizeOfItsBackup) {
  BackUp(kFirst);
  ASSERT_OK_AND_ASSIGN(const auto reader, backup::EntryCacheReader::Open(cache()));
  size_t ids = 0;
  ASSERT_OK(reader->ReadIds([&](const backup::RecordIdPrefix&) { ++ids; }));
  EXPECT_EQ(ids, static_cast<size_t>(vault_.records()));
  EXPECT_EQ(reader->file_bytes(), tree_.bytes());
}

}  // namespace
}  // namespace ember::testing
