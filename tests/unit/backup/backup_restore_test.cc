#include <atomic>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/backup/record.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/memory_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using backup::RestoreOptions;
using backup::RestoreReader;
using format::v1::EntryType;
using Call = MemoryVault::Call;
constexpr char kFirst[] = "web/20260101-000000";
constexpr char kSecond[] = "web/20260102-000000";

// Of every kind: directories, inline, grouped and large files, holes, links, odd names.
void Populate(FakeTree* tree) {
  tree->AddDirectory("srv");
  for (int i = 0; i < 150; ++i) {
    const size_t sizes[] = {0, 1, 100, 512, 513, 3000, 20000, 65536};
    tree->Add(absl::StrCat("srv/small/", i), Noise(100 + i, sizes[i % 8]));
  }
  tree->Add("srv/at-the-edge", Noise(1, kGroupedFileBytesMax + 1));
  tree->Add("srv/large", Noise(2, 5 << 20));
  tree->Add("srv/text", std::string(3 << 20, 'a'));
  tree->AddSparse("srv/sparse", 50 << 20, {{1 << 20, Noise(3, 700000)}, {30 << 20, Noise(4, 200)}});
  tree->AddSparse("srv/sparse-small", 1 << 20, {{4096, Noise(5, 4096)}, {65536, Noise(6, 100)}});
  tree->AddSparse("srv/hole", 1 << 30, {});
  tree->AddLink("srv/small/a-link", "srv/large");
  tree->Add(std::string("srv/\xff\xfe odd\n\"name\"\x01"), "odd");
  tree->Add("srv/small.txt", "sorts after small/");
  tree->files()["srv/socket"].entry.set_path("srv/socket");
  tree->files()["srv/socket"].entry.set_type(EntryType::SOCKET);
  auto& xattr = *tree->at("srv/large").entry.add_xattrs();
  xattr.set_name("user.x");
  xattr.set_value(std::string("\0\1", 2));
  tree->files()["srv/small/a-link"].entry = tree->at("srv/large").entry;
  tree->files()["srv/small/a-link"].entry.set_path("srv/small/a-link");
  tree->files()["srv/small/a-link"].entry.set_hardlink_to("srv/large");
}

class BackupRestore : public ::testing::Test {
 protected:
  FakeTarget RestoreAll(const std::string& id, RestoreOptions options = {}) {
    FakeTarget target;
    auto reader = bench_.Open(&vault_, id);
    EXPECT_OK(reader);
    if (reader.ok()) {
      EXPECT_OK((*reader)->Restore(options, &target, nullptr));
    }
    return target;
  }
  BackupBench bench_;
  MemoryVault vault_;
  FakeTree tree_;
};

TEST_F(BackupRestore, BringsBackEveryKindOfEntry) {
  Populate(&tree_);
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(result.outcome(), v1::Outcome::OK);
  EXPECT_TRUE(result.read_back_ok()) << result.read_back_error();
  EXPECT_EQ(result.entries(), static_cast<int64_t>(tree_.files().size()));
  EXPECT_EQ(result.files(), result.entries() - 2);  // a directory and a socket
  EXPECT_EQ(result.size_bytes(), tree_.bytes());
  EXPECT_EQ(result.added_bytes(), vault_.stored_bytes());
  EXPECT_EQ(Difference(tree_, RestoreAll(kFirst)), "");
}

TEST_F(BackupRestore, OfAPartOfAFileOnlyItsRecordsAreRead) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  const std::string content = Noise(2, 5 << 20);
  RestoreOptions options;
  for (const char* path : {"srv/large", "srv/small/a-link"}) {
    options.paths = {path};
    for (const int64_t from : {0, 1234567, (5 << 20) - 10, 6 << 20}) {
      options.from = from;
      options.until = from + 1000;
      FakeTarget target = RestoreAll(kFirst, options);
      ASSERT_EQ(target.files.count(path), 1u);
      std::string restored(content.size(), '\0');
      size_t bytes = 0;
      for (const auto& [offset, piece] : target.files.at(path).data) {
        restored.replace(offset, piece.size(), piece);
        bytes += piece.size();
      }
      EXPECT_LE(bytes, size_t{2} << 20) << "two of the largest records";
      if (from > static_cast<int64_t>(content.size())) continue;
      EXPECT_EQ(restored.substr(from, 1000), content.substr(from, 1000)) << path << " at " << from;
    }
  }
}

TEST_F(BackupRestore, AnEmptyBackupIsABackup) {
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(result.entries(), 0);
  EXPECT_EQ(Difference(tree_, RestoreAll(kFirst)), "");
}

TEST_F(BackupRestore, SmallPiecesMakeTheSameRecords) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  const int64_t records = vault_.records();
  for (auto& [path, file] : tree_.files()) file.piece_max = 7777;
  auto options = bench_.Options(kSecond);
  options.full = true;
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, options));
  EXPECT_EQ(result.added_bytes(), 0);
  EXPECT_EQ(vault_.records(), records);
}

TEST_F(BackupRestore, NothingReadableReachesTheVault) {
  tree_.Add("srv/secret-name", "the secret content of a small file");
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  vault_.ChangeStored([](v1::Record& record) {
    EXPECT_EQ(record.SerializeAsString().find("secret"), std::string::npos);
    return true;
  });
}

TEST_F(BackupRestore, NoNonceIsUsedTwice) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  std::set<uint64_t> nonces;
  vault_.ChangeStored([&](v1::Record& record) {
    EXPECT_TRUE(nonces.insert(record.nonce()).second);
    return true;
  });
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, vault_.GetBackup(kFirst));
  EXPECT_TRUE(nonces.insert(stored.summary_nonce()).second);
}

TEST_F(BackupRestore, UnchangedFilesAreNeitherOpenedNorSent) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.ForgetOpened();
  const int64_t asked = vault_.calls(Call::kAbsent);
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_EQ(tree_.opened(), 0);
  EXPECT_EQ(result.added_bytes(), 0);
  EXPECT_LE(vault_.calls(Call::kAbsent) - asked, 20);  // the manifest's own records
  EXPECT_EQ(Difference(tree_, RestoreAll(kSecond)), "");
}

TEST_F(BackupRestore, AChangeCostsAboutItself) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.ForgetOpened();
  std::string large = Noise(2, 5 << 20);
  large.insert(2 << 20, "inserted");
  tree_.Change("srv/large", large);
  tree_.Change("srv/small/5", Noise(777, 4000));
  tree_.Remove("srv/small/6");
  tree_.at("srv/text").entry.set_mode(0600);  // metadata alone needs no reading
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_EQ(tree_.opened(), 2);
  EXPECT_LT(result.added_bytes(), 2 << 20);
  EXPECT_EQ(Difference(tree_, RestoreAll(kSecond)), "");
}

TEST_F(BackupRestore, AFullBackupReadsEverythingAndAddsNothing) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  auto options = bench_.Options(kSecond);
  options.full = true;
  tree_.ForgetOpened();
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, options));
  EXPECT_GT(tree_.opened(), 150);
  EXPECT_EQ(result.added_bytes(), 0);
}

TEST_F(BackupRestore, FilesModifiedAroundTheBackupAreReadAgain) {
  const int64_t began = absl::ToUnixSeconds(bench_.clock.Now());
  tree_.Add("srv/old", "content").mtime_seconds = began - kRacySeconds - 1;
  tree_.Add("srv/racy", "content").mtime_seconds = began - kRacySeconds;
  tree_.Add("srv/future", "content").mtime_seconds = began + 100;
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.ForgetOpened();
  bench_.clock.Advance(absl::Hours(1));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_EQ(tree_.at("srv/old").opened, 0);
  EXPECT_EQ(tree_.at("srv/racy").opened, 1);
  EXPECT_EQ(tree_.at("srv/future").opened, 1);
}

TEST_F(BackupRestore, ACacheWhoseBackupTheVaultDoesNotHaveIsNotUsed) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  MemoryVault other;
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &other, kFirst));
  EXPECT_EQ(result.added_bytes(), other.stored_bytes());
  FakeTarget target;
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&other, kFirst));
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(Difference(tree_, target), "");
}

TEST_F(BackupRestore, ACacheOfAnotherDomainIsNotUsed) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.ForgetOpened();
  bench_.domain.set_id("domain-2");
  bench_.domain.set_id_key(std::string(32, 'j'));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_GT(tree_.opened(), 150);
  EXPECT_EQ(Difference(tree_, RestoreAll(kSecond)), "");
}

TEST_F(BackupRestore, ADamagedCacheOnlyCostsTime) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  const std::string path = bench_.directory.Join("web.cache");
  ASSERT_OK_AND_ASSIGN(const std::string cache, ReadFile(path));
  tree_.Change("srv/small/9", Noise(4711, 2000));
  for (size_t i = 0; i < 24; ++i) {
    std::string damaged = cache;
    if (i % 4 == 3) {
      damaged.resize(cache.size() * i / 24);
    } else {
      damaged[(i * 7919 * 31) % cache.size()] ^= static_cast<char>(1 << (i % 8));
    }
    ASSERT_OK(WriteFileAtomic(path, damaged));
    const std::string id = absl::StrCat("web/20260103-0000", 10 + i);
    ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, id));
    EXPECT_EQ(result.outcome(), v1::Outcome::OK);
    EXPECT_EQ(Difference(tree_, RestoreAll(id)), "") << i;
  }
}

TEST_F(BackupRestore, WantedPathsOnly) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  RestoreOptions options;
  options.paths = {"srv/small", "srv/text"};
  const FakeTarget target = RestoreAll(kFirst, options);
  EXPECT_EQ(target.files.size(), 152u);
  EXPECT_EQ(target.files.count("srv/small.txt"), 0u);
  EXPECT_EQ(target.files.at("srv/small/5").data.at(0), Noise(105, 3000));
  // Its first name was not wanted: it stands in for it.
  const Restored& link = target.files.at("srv/small/a-link");
  EXPECT_EQ(link.entry.hardlink_to(), "");
  EXPECT_EQ(link.data.at(0), Noise(2, 5 << 20));
}

TEST_F(BackupRestore, FurtherWantedNamesLinkToTheOneThatStandsIn) {
  tree_.Add("a/first", Noise(1, 200000));
  tree_.AddLink("b/second", "a/first");
  tree_.AddLink("b/third", "a/first");
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  RestoreOptions options;
  options.paths = {"b"};
  const FakeTarget target = RestoreAll(kFirst, options);
  EXPECT_EQ(target.files.at("b/second").entry.hardlink_to(), "");
  EXPECT_EQ(target.files.at("b/second").data.at(0).size(), 200000u);
  EXPECT_EQ(target.files.at("b/third").entry.hardlink_to(), "b/second");
}

TEST_F(BackupRestore, DeclinedContentIsHardlyFetched) {
  for (int i = 0; i < 200; ++i) tree_.Add(absl::StrCat("srv/", i), Noise(i, 300000));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  FakeTarget target;
  target.takes = [](const std::string& path) { return path == "srv/150"; };
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(target.files.size(), 200u);
  EXPECT_EQ(target.files.at("srv/150").data.at(0), Noise(150, 300000));
  EXPECT_TRUE(target.files.at("srv/149").data.empty());
}

TEST_F(BackupRestore, ListsEntriesWithoutContent) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  std::vector<std::string> paths;
  ASSERT_OK(reader->ForEachEntry({}, [&](const format::v1::Entry& entry) {
    EXPECT_EQ(entry.extents_size(), 0);
    paths.push_back(entry.path());
    return absl::OkStatus();
  }));
  EXPECT_EQ(paths.size(), tree_.files().size());
  EXPECT_THAT(reader->ForEachEntry({}, [](const auto&) { return absl::CancelledError("enough"); }),
              HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(reader->summary().workload(), "web");
  EXPECT_EQ(reader->summary().roots(0), "srv");
  EXPECT_EQ(reader->summary().entries(), static_cast<int64_t>(paths.size()));
}

TEST_F(BackupRestore, VerifyReadsEveryRecord) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  v1::VerifyResult result;
  ASSERT_OK(reader->Verify({}, &result));
  EXPECT_EQ(result.records(), vault_.records());
  EXPECT_EQ(result.bytes(), tree_.bytes());
  EXPECT_EQ(result.files(), static_cast<int64_t>(tree_.files().size()) - 2);
}

TEST_F(BackupRestore, ASampleReadsSomeFilesAndKnowsHowMany) {
  for (int i = 0; i < 400; ++i)
    tree_.Add(absl::StrCat("srv/", i), Noise(i, kGroupedFileBytesMax + 1000));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  RestoreOptions options;
  options.sample_percent = 25;
  v1::VerifyResult result;
  ASSERT_OK(reader->Verify(options, &result));
  EXPECT_EQ(result.files() + result.files_skipped(), 400);
  EXPECT_GT(result.files(), 40);  // 100 are expected, with a deviation of 9
  EXPECT_LT(result.files(), 160);
  EXPECT_EQ(result.bytes(), result.files() * static_cast<int64_t>(kGroupedFileBytesMax + 1000));
  // Different ones each time: so many times nothing but luck would leave one out.
  vault_.ChangeStored([changed = false](v1::Record& record) mutable {
    if (record.type() == format::v1::RecordType::DATA && !std::exchange(changed, true))
      (*record.mutable_payload())[0] ^= 1;
    return true;
  });
  bool found = false;
  for (int i = 0; i < 200 && !found; ++i) {
    v1::VerifyResult again;
    found = absl::IsDataLoss(reader->Verify(options, &again));
  }
  EXPECT_TRUE(found);
}

TEST_F(BackupRestore, ChunksOfZeroesAreHoles) {
  const std::string head = Noise(1, 300000), tail = Noise(2, 300000);
  tree_.Add("srv/zeroes", std::string(3 << 20, '\0'));
  tree_.Add("srv/between", head + std::string(6 << 20, '\0') + tail);
  tree_.Add("srv/ends", head + std::string(6 << 20, '\0'));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  FakeTarget restored = RestoreAll(kFirst);
  EXPECT_TRUE(restored.files.at("srv/zeroes").data.empty());
  for (const auto& [path, file] : tree_.files()) {
    const std::string& expected = file.data.at(0);
    const Restored& got = restored.files.at(path);
    ASSERT_EQ(got.entry.size(), static_cast<int64_t>(expected.size())) << path;
    std::string content(expected.size(), '\0');
    size_t written = 0;
    for (const auto& [offset, bytes] : got.data) {
      content.replace(static_cast<size_t>(offset), bytes.size(), bytes);
      written += bytes.size();
    }
    EXPECT_TRUE(content == expected) << path;
    EXPECT_LT(written, expected.size() - (2 << 20)) << path;
  }
}

// More extents than one part of an entry holds.
TEST_F(BackupRestore, AFileWithVeryManyExtentsGoesOnInParts) {
  std::map<int64_t, std::string> data;
  for (int64_t i = 0; i < 20000; ++i) data[i * 8192] = absl::StrCat("run ", i);
  tree_.Add("srv/a", "before");
  tree_.AddSparse("srv/holes", 20000 * 8192, data);
  tree_.Add("srv/z", "after");
  tree_.AddLink("srv/z-link", "srv/holes");
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(Difference(tree_, RestoreAll(kFirst)), "");
  tree_.ForgetOpened();
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_EQ(tree_.opened(), 0);
  EXPECT_EQ(Difference(tree_, RestoreAll(kSecond)), "");
  RestoreOptions options;
  options.paths = {"srv/z-link"};
  EXPECT_EQ(RestoreAll(kSecond, options).files.at("srv/z-link").data.size(), 20000u);
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kSecond));
  v1::VerifyResult result;
  ASSERT_OK(reader->Verify({}, &result));
  EXPECT_EQ(result.files(), 4);
  FakeTarget declines;
  declines.takes = [](const std::string&) { return false; };
  ASSERT_OK(reader->Restore({}, &declines, nullptr));
  EXPECT_EQ(declines.files.size(), 4u);
}

TEST_F(BackupRestore, ReportsItsProgress) {
  Populate(&tree_);
  auto options = bench_.Options(kFirst);
  std::vector<v1::Progress> seen;
  options.progress = [&](const v1::Progress& progress) { seen.push_back(progress); };
  ASSERT_OK(bench_.Backup(tree_, &vault_, options));
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(seen.front().phase(), "reading");
  EXPECT_EQ(seen.back().phase(), "verifying");
  EXPECT_GT(seen.back().bytes_read(), 9 << 20);
  EXPECT_GT(seen.back().bytes_sent(), 5 << 20);
  EXPECT_EQ(seen.back().bytes_total(), 0) << "not known here";
}

TEST_F(BackupRestore, KnowsHowMuchIsLeftByTheLastBackup) {
  Populate(&tree_);
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  tree_.Change("srv/large", Noise(9, 6 << 20));
  auto options = bench_.Options(kSecond);
  std::vector<v1::Progress> seen;
  options.progress = [&](const v1::Progress& progress) { seen.push_back(progress); };
  ASSERT_OK(bench_.Backup(tree_, &vault_, options));
  const v1::Progress& last = seen.back();
  EXPECT_EQ(last.bytes_read(), 6 << 20);
  EXPECT_EQ(last.bytes_total(), 6 << 20) << "all else was found unchanged";
}

}  // namespace
}  // namespace ember::testing
