#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
namespace fs = std::filesystem;

class VaultDamage : public VaultJobsFixture {
 protected:
  static void FlipByte(const std::string& path, size_t at) {
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(path, 1 << 30));
    ASSERT_LT(at, bytes.size());
    bytes[at] ^= 0x10;
    ASSERT_OK(WriteFileAtomic(path, bytes));
  }
  // Damages the stored payload of record `n`.
  void FlipPayload(int n) {
    for (const std::string& pack : Files("packs")) {
      ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(pack, 1 << 30));
      const size_t at = bytes.find(RecordPayload(n));
      if (at != std::string::npos) return FlipByte(pack, at + 3);
    }
    FAIL() << "record " << n << " is nowhere";
  }
};

TEST_F(VaultDamage, AFlippedByteIsReportedForThatRecordOnly) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  FlipPayload(20);
  const auto result = Read(SortedIds(0, 50));
  EXPECT_EQ(result.payloads.size(), 49u);
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_FALSE(result.problems.at(RecordId(20)).absent());
  EXPECT_NE(result.problems.at(RecordId(20)).problem(), "");
}

TEST_F(VaultDamage, ReadBackOfASessionReportsDamage) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  FlipPayload(20);
  v1::ReadRequest request;
  request.set_only_session(SessionRequest("db", 1).session_id());
  const auto result = Read(*vault_, request);
  EXPECT_EQ(result.payloads.size(), 49u);
  EXPECT_EQ(result.problems.count(RecordId(20)), 1u);
}

TEST_F(VaultDamage, TheNextBackupHealsWhatWasFoundDamaged) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  FlipPayload(20);
  EXPECT_EQ(Read({RecordId(20)}).problems.size(), 1u);
  Reopen();
  auto request = SessionRequest("db", 2);
  request.set_parent_root(SortedIds(0, 50)[0]);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(request));
  EXPECT_FALSE(session.reply.parent_present());
  EXPECT_EQ(CountAbsent(session, 0, 50), 1);
  ASSERT_OK_AND_ASSIGN(const auto need, Commit(session, SortedIds(0, 50)));
  EXPECT_THAT(need.need(), ::testing::ElementsAre(RecordId(20)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 20, 1)));
  ASSERT_OK(Commit(session, SortedIds(0, 50)));
  ExpectReadable(0, 50);
  // The good copy is also the one that a new index finds.
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  Reopen();
  ExpectReadable(0, 50);
}

TEST_F(VaultDamage, ASecondUploadDoesNotReplaceAGoodRecord) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("web", 1)));
  auto forged = UploadOf(session, 3, 1);
  forged.mutable_records(0)->set_payload("something else");
  ASSERT_OK(vault_->Append("host1", forged));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  ExpectReadable(0, 10);
}

TEST_F(VaultDamage, ATruncatedPackLosesItsTailOnly) {
  ASSERT_OK(Backup("db", 1, 0, 200));
  const std::string pack = Files("packs")[0];
  fs::resize_file(pack, fs::file_size(pack) / 4);
  const auto result = Read(SortedIds(0, 200));
  EXPECT_EQ(result.payloads.size() + result.problems.size(), 200u);
  EXPECT_GT(result.problems.size(), 0u);
  EXPECT_GT(result.payloads.size(), 100u);  // the other pack, and the first records of this one
  // Records before the cut are found again by a scan when the index is gone too.
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  Reopen();
  EXPECT_EQ(Read(SortedIds(0, 200)).payloads.size(), result.payloads.size());
}

// Without any table, too, in which the domain stands.
TEST_F(VaultDamage, OfPacksWithoutTheirTablesTheOwnerReadsWhatIsLeft) {
  ASSERT_OK(Backup("db", 1, 0, 200));
  for (const std::string& pack : Files("packs")) fs::resize_file(pack, fs::file_size(pack) / 2);
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  Reopen();
  v1::ReadRequest request;
  for (const std::string& id : SortedIds(0, 200)) request.add_ids(id);
  ReadResult owners;
  ASSERT_OK(vault_->Read(request, "host1", Into(&owners)));
  EXPECT_GT(owners.payloads.size(), 50u);
  EXPECT_EQ(owners.payloads.size(), Read(SortedIds(0, 200)).payloads.size());
}

TEST_F(VaultDamage, ALostPackIsReportedAndItsRecordsAreAskedForAgain) {
  ASSERT_OK(Backup("db", 1, 0, 200));
  fs::remove(Files("packs")[0]);
  const auto result = Read(SortedIds(0, 200));
  EXPECT_EQ(result.payloads.size() + result.problems.size(), 200u);
  EXPECT_GT(result.problems.size(), 0u);
  Reopen();
  auto request = SessionRequest("db", 2);
  request.set_parent_root(SortedIds(0, 200)[0]);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(request));
  EXPECT_FALSE(session.reply.parent_present());
  EXPECT_EQ(CountAbsent(session, 0, 200), static_cast<int>(result.problems.size()));
}

TEST_F(VaultDamage, APackThatIsGarbageDoesNotKeepTheVaultClosed) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  vault_.reset();
  const std::string name = Sha256Hex("garbage");
  ASSERT_OK_AND_ASSIGN(auto store, vault::OpenDirectoryStore(directory_.path()));
  ASSERT_OK(
      vault::PutObject(*store, absl::StrCat("packs/", name.substr(0, 2), "/", name), "garbage"));
  Reopen();
  ExpectReadable(0, 20);
  EXPECT_NE(vault_->Facts().problem(), "");
}

TEST_F(VaultDamage, ADamagedBackupRecordIsNamedAndTheOthersAreServed) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  ASSERT_OK(Backup("db", 2, 5, 5));
  const std::string file = Files("snaps")[0];
  FlipByte(file, 60);
  const std::string name = fs::path(file).filename().string();
  for (int round = 0; round < 2; ++round) {
    const auto result = vault_->GetBackup(IdOf("db", 1));
    EXPECT_THAT(result, HasCodeAndText(StatusCode::kDataLoss, name));
    EXPECT_EQ(vault_->ListBackups("db")->items_size(), 1);
    EXPECT_OK(vault_->GetBackup(IdOf("db", 2)));
    Reopen();
  }
  EXPECT_TRUE(absl::StrContains(vault_->Facts().problem(), "damaged"));
  EXPECT_THAT(vault_->GetBackup(IdOf("db", 3)), HasCode(StatusCode::kNotFound));
  // Numbering goes on above the damaged one.
  EXPECT_EQ(Backup("db", 3, 10, 5)->sequence(), 3u);
}

TEST_F(VaultDamage, EveryFlippedByteOfABackupRecordIsFound) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  const std::string file = Files("snaps")[0];
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(file));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] ^= static_cast<char>(1 << at % 8);
    fs::remove(file);
    ASSERT_OK(WriteFileAtomic(file, bytes));
    EXPECT_THAT(vault_->GetBackup(IdOf("db", 1)), HasCode(StatusCode::kDataLoss)) << at;
  }
}

TEST_F(VaultDamage, ARecordUnderAnotherNameIsDamage) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  vault_.reset();
  const std::string file = Files("snaps")[0];
  fs::rename(file, JoinPath(fs::path(file).parent_path().string(),
                            "00000000000000000009-20260101-000001"));
  Reopen();
  EXPECT_THAT(vault_->GetBackup(IdOf("db", 1)), HasCode(StatusCode::kDataLoss));
}

TEST_F(VaultDamage, AParentWhoseIdsAreDamagedIsNotTrusted) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  Reopen();
  FlipByte(Files("refs")[0], 50);
  auto request = SessionRequest("db", 2);
  request.set_parent_root(SortedIds(0, 5)[0]);
  EXPECT_FALSE(Open(request)->reply.parent_present());
}

TEST_F(VaultDamage, DamagedSmallStateIsAnErrorWithAWayOut) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  FlipByte(directory_.Join("state/workloads/db"), 45);
  EXPECT_THAT(Open(SessionRequest("db", 2)), HasCodeAndText(StatusCode::kDataLoss, "workloads/db"));
  EXPECT_OK(Open(SessionRequest("web", 2)));
  vault_.reset();
  for (const char* file : {"state/sequence", "VAULT"}) {
    FlipByte(directory_.Join(file), 12);
    const auto opened = vault::Vault::Open(Options(directory_.path()));
    EXPECT_THAT(opened, HasCode(StatusCode::kDataLoss));
    EXPECT_NE(HintOf(opened.status()), "");
    ASSERT_OK(RemoveFile(directory_.Join(file)));
  }
  Reopen();
  ExpectReadable(0, 5);
  EXPECT_EQ(Backup("web", 3, 0, 5)->sequence(), 2u);
}

// The parity of a small pack is a copy of it, and an index made without its footer may lead there.
TEST_F(VaultDamage, ARecordThatTheIndexFindsInTheParityIsKept) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK(Reuse("db", 2, 0, 2));
  const auto flip_ends = [this] {
    for (const std::string& pack : Files("packs")) FlipByte(pack, fs::file_size(pack) - 1);
  };
  flip_ends();
  DropIndex();
  flip_ends();  // the disk has come to its senses
  ExpectReadable(0, 10);
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 2);
  DropIndex();
  ExpectReadable(0, 2);
}

}  // namespace
}  // namespace ember::testing
