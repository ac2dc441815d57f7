#include "common/vault/vault_archive.h"

#include <sys/stat.h>

#include <atomic>

#include "common/base/file.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::vault {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;
using ember::testing::RecordId;
using ember::testing::RecordPayload;
using ember::testing::SessionRequest;
using ember::testing::SortedIds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class VaultArchiveTest : public ember::testing::VaultJobsFixture {
 protected:
  VaultOptions Options(const std::string& directory) override {
    VaultOptions options = VaultFixture::Options(directory);
    options.rules.parity = parity_;
    return options;
  }
  void WithoutParity() {
    parity_ = false;
    Reopen();
  }
  // The agent is gone, and so is its index.
  void Bury() {
    vault_.reset();
    std::filesystem::remove_all(directory_.Join("index"));
  }
  void OpenArchive() {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectStore> store,
                         OpenDirectoryForReading(directory_.path()));
    ASSERT_OK_AND_ASSIGN(archive_, VaultArchive::Open(std::move(store)));
  }
  std::unique_ptr<LocatedBackup> Locate(const std::string& workload, int n) {
    OpenArchive();
    if (archive_ == nullptr) return nullptr;
    const auto backup = archive_->Find(IdOf(workload, n));
    EXPECT_OK(backup);
    if (!backup.ok()) return nullptr;
    auto located = archive_->Locate(**backup, {});
    EXPECT_OK(located);
    return located.ok() ? *std::move(located) : nullptr;
  }
  static ReadResult ReadFrom(const LocatedBackup& located, int first, int count) {
    ReadResult result;
    EXPECT_OK(located.Read(SortedIds(first, count), Into(&result)));
    return result;
  }
  // The records come back as they were sent, each with the keybox of its session.
  void ExpectAll(const LocatedBackup* located, int first, int count) {
    ASSERT_NE(located, nullptr);
    const ReadResult result = ReadFrom(*located, first, count);
    EXPECT_THAT(result.problems, IsEmpty());
    for (int n = first; n < first + count; ++n) {
      const auto record = result.records.find(RecordId(n));
      ASSERT_NE(record, result.records.end()) << n;
      EXPECT_EQ(record->second.payload(), RecordPayload(n));
      EXPECT_TRUE(located->keyboxes().contains(record->second.session_id())) << n;
    }
  }
  std::vector<std::string> PacksWith(const std::string& bytes) {
    std::vector<std::string> packs;
    for (const std::string& pack : Files("packs")) {
      const auto content = ReadFile(pack, 1 << 30);
      if (content.ok() && content->find(bytes) != std::string::npos) packs.push_back(pack);
    }
    EXPECT_THAT(packs, Not(IsEmpty()));
    return packs;
  }
  std::string PackWith(int n) { return PacksWith(RecordPayload(n)).at(0); }
  void FlipPayload(const std::string& pack, int n) {
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(pack, 1 << 30));
    const size_t at = bytes.find(RecordId(n)) + kRecordHeaderBytes - 8;  // of the payload
    ASSERT_LT(at + 3, bytes.size());
    bytes[at + 3] ^= 0x10;
    ASSERT_OK(WriteFileAtomic(pack, bytes));
  }
  void Mark(const std::string& pack) {
    format::v1::TrashedPack mark;
    mark.set_version(1);
    const std::string name = pack.substr(pack.rfind('/') + 1);
    ASSERT_OK(MakeDirectories(directory_.Join("trash/packs")));
    ASSERT_OK(WriteFileAtomic(directory_.Join("trash/packs/" + name),
                              Frame(kTrashMagic, mark.SerializeAsString())));
  }
  // Every name with size and time of change; a lock, a temp file or a touched one shows.
  std::vector<std::string> Everything() {
    std::vector<std::string> all;
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path())) {
      struct stat info = {};
      EXPECT_EQ(lstat(file.path().c_str(), &info), 0);
      all.push_back(absl::StrCat(file.path().string(), " ", info.st_size, " ", info.st_ino, " ",
                                 info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ",
                                 info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec));
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  bool parity_ = true;
  std::unique_ptr<VaultArchive> archive_;
};

TEST_F(VaultArchiveTest, FindsEveryRecordWithoutIndexAndWritesNothing) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 25, 50));
  ASSERT_OK(Reuse("web", 3, 10, 40));
  Bury();
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path()))
    chmod(file.path().c_str(), file.is_directory() ? 0500 : 0400);
  const std::vector<std::string> before = Everything();
  ExpectAll(Locate("db", 1).get(), 0, 50);
  ExpectAll(Locate("db", 2).get(), 25, 50);
  ExpectAll(Locate("web", 3).get(), 10, 40);
  EXPECT_EQ(Everything(), before);
  EXPECT_THAT(archive_->problems(), IsEmpty());
  EXPECT_FALSE(archive_->vault_id().empty());
  ASSERT_EQ(archive_->backups().size(), 3u);
  EXPECT_EQ(archive_->backups()[0].record.backup_id(), IdOf("db", 1));
  EXPECT_THAT(archive_->Domains(), ElementsAre("host1"));
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path()))
    chmod(file.path().c_str(), 0700);
}

TEST_F(VaultArchiveTest, OfAVaultThatIsServedAtThisMoment) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ExpectAll(Locate("db", 1).get(), 0, 50);
  ASSERT_OK(Backup("db", 2, 50, 5)) << "the vault goes on";
}

TEST_F(VaultArchiveTest, KnowsOnlyTheRecordsOfTheBackupThatWasLocated) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 50, 50));
  Bury();
  const auto located = Locate("db", 1);
  const ReadResult others = ReadFrom(*located, 50, 50);
  EXPECT_EQ(others.problems.size(), 50u);
  EXPECT_TRUE(others.problems.at(RecordId(60)).absent());
  EXPECT_EQ(located->keyboxes().size(), 1u);
}

TEST_F(VaultArchiveTest, ATornPackIsScanned) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 50));
  Bury();
  const std::string pack = PackWith(0);
  std::filesystem::resize_file(pack, std::filesystem::file_size(pack) - 5);
  const auto located = Locate("db", 1);
  ExpectAll(located.get(), 0, 50);
  EXPECT_THAT(located->problems(), ElementsAre(HasSubstr("scanning")));
}

TEST_F(VaultArchiveTest, ADamagedRecordIsReportedAndNotItsNeighbours) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 50));
  Bury();
  FlipPayload(PackWith(20), 20);
  const auto located = Locate("db", 1);
  const ReadResult result = ReadFrom(*located, 0, 50);
  EXPECT_EQ(result.payloads.size(), 49u);
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_FALSE(result.problems.at(RecordId(20)).absent());
  EXPECT_THAT(result.problems.at(RecordId(20)).problem(), HasSubstr("checksum"));
}

TEST_F(VaultArchiveTest, ADamagedRecordIsReadFromItsOtherCopy) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 0, 30));  // sent again
  Bury();
  const std::vector<std::string> packs = PacksWith(RecordPayload(20));
  ASSERT_EQ(packs.size(), 2u);
  for (const std::string& pack : packs) {
    FlipPayload(pack, 20);
    ExpectAll(Locate("db", 1).get(), 0, 50);
    FlipPayload(pack, 20);  // as it was
  }
}

TEST_F(VaultArchiveTest, ADamagedRecordIsComputedFromParity) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  Bury();
  FlipPayload(PackWith(20), 20);
  const std::vector<std::string> before = Everything();
  ExpectAll(Locate("db", 1).get(), 0, 50);
  EXPECT_EQ(Everything(), before) << "the repair is in memory";
}

TEST_F(VaultArchiveTest, APackInTheTrashIsPassedOver) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 30));
  ASSERT_OK(Backup("db", 2, 0, 30));
  Bury();
  for (const int trashed : {1, 2}) {
    const std::string session = SessionRequest("db", trashed).session_id();
    for (const std::string& pack : PacksWith(session)) Mark(pack);
    const auto located = Locate("db", 1);
    ExpectAll(located.get(), 0, 30);
    for (const auto& [id, record] : ReadFrom(*located, 0, 30).records)
      EXPECT_NE(record.session_id(), session);
    std::filesystem::remove_all(directory_.Join("trash/packs"));
  }
}

TEST_F(VaultArchiveTest, WhatIsOnlyInTheTrashIsFoundThere) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  Bury();
  for (const std::string& pack : Files("packs")) Mark(pack);
  ExpectAll(Locate("db", 1).get(), 0, 30);
}

TEST_F(VaultArchiveTest, AfterGarbageCollectionEveryBackupIsThere) {
  ASSERT_OK(Backup("db", 1, 0, 60));
  ASSERT_OK(Reuse("db", 2, 40, 20));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  clock_.Advance(absl::Hours(24 * 30));
  ASSERT_OK(Gc(true));
  Bury();
  ExpectAll(Locate("db", 2).get(), 40, 20);
  EXPECT_THAT(archive_->problems(), IsEmpty()) << "there is a tombstone";
  EXPECT_THAT(archive_->Find(IdOf("db", 1)), HasCode(StatusCode::kNotFound));
}

TEST_F(VaultArchiveTest, ADeletedBackupIsThereUntilItIsPurged) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  ASSERT_OK(Backup("db", 2, 30, 30));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  Bury();
  ExpectAll(Locate("db", 1).get(), 0, 30);
  EXPECT_TRUE((*archive_->Find(IdOf("db", 1)))->trashed);
  EXPECT_FALSE((*archive_->Find(IdOf("db", 2)))->trashed);
}

TEST_F(VaultArchiveTest, ADamagedBackupIsNamedAndTheOthersAreThere) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  ASSERT_OK(Backup("db", 2, 30, 30));
  Bury();
  const std::string snap = Files("snaps")[0];
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(snap));
  bytes[60] ^= 1;
  ASSERT_OK(WriteFileAtomic(snap, bytes));
  OpenArchive();
  EXPECT_THAT(archive_->Find(IdOf("db", 1)), HasCodeAndText(StatusCode::kDataLoss, IdOf("db", 1)));
  EXPECT_THAT(archive_->problems(), Contains(HasSubstr("snaps/host1/")));
  ExpectAll(Locate("db", 2).get(), 30, 30);
  EXPECT_THAT(archive_->Find("db/20300101-000000"), HasCode(StatusCode::kNotFound));
}

TEST_F(VaultArchiveTest, ABackupThatDisappearedLeavesABrokenChain) {
  for (int n = 1; n <= 3; ++n) ASSERT_OK(Backup("db", n, n * 10, 10));
  Bury();
  const std::vector<std::string> snaps = Files("snaps");
  std::filesystem::remove(snaps[1]);
  OpenArchive();
  EXPECT_THAT(archive_->problems(), ElementsAre(HasSubstr("is missing or was exchanged")));
  std::filesystem::remove(snaps[2]);
  OpenArchive();
  EXPECT_THAT(archive_->problems(), ElementsAre(HasSubstr("the newest backup")));
}

TEST_F(VaultArchiveTest, ALostReferenceSetCostsTimeAndNoRecord) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  ASSERT_OK(Backup("db", 2, 30, 30));
  Bury();
  const std::vector<std::string> refs = Files("refs");
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(refs[0]));
  bytes[100] ^= 1;
  ASSERT_OK(WriteFileAtomic(refs[0], bytes));
  std::filesystem::remove(refs[1]);
  const auto first = Locate("db", 1);
  ExpectAll(first.get(), 0, 30);
  EXPECT_THAT(first->problems(), ElementsAre(HasSubstr("refs/host1/")));
  ExpectAll(Locate("db", 2).get(), 30, 30);
}

TEST_F(VaultArchiveTest, ALostHeaderIsAProblemAndADirectoryWithoutBackupsIsNoVault) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  Bury();
  std::filesystem::remove(directory_.Join("VAULT"));
  ExpectAll(Locate("db", 1).get(), 0, 30);
  EXPECT_THAT(archive_->problems(), ElementsAre("VAULT: it is missing"));
  ember::testing::TempDir empty;
  ASSERT_OK_AND_ASSIGN(auto store, OpenDirectoryForReading(empty.path()));
  EXPECT_THAT(VaultArchive::Open(std::move(store)), HasCode(StatusCode::kNotFound));
  EXPECT_THAT(OpenDirectoryForReading(empty.Join("none")), HasCode(StatusCode::kNotFound));
  EXPECT_TRUE(std::filesystem::is_empty(empty.path()));
}

TEST_F(VaultArchiveTest, TheSearchCanBeCancelled) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  Bury();
  OpenArchive();
  const std::atomic<bool> cancelled = true;
  EXPECT_THAT(archive_->Locate(**archive_->Find(IdOf("db", 1)), {.cancelled = &cancelled}),
              HasCode(StatusCode::kCancelled));
}

TEST_F(VaultArchiveTest, TheStoreBelowRefusesToWrite) {
  ASSERT_OK(Backup("db", 1, 0, 30));
  ASSERT_OK_AND_ASSIGN(auto store, OpenDirectoryForReading(directory_.path()));
  EXPECT_THAT(store->Create(), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_THAT(store->Delete("VAULT"), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_OK(store->Size("VAULT"));
}

}  // namespace
}  // namespace ember::vault
