#include <atomic>

#include "common/base/file.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VaultCheck : public VaultFixture {
 protected:
  vault::VaultOptions Options(const std::string& directory) override {
    vault::VaultOptions options = VaultFixture::Options(directory);
    options.rules.parity = parity_;
    return options;
  }
  void WithoutParity() {
    parity_ = false;
    Reopen();
  }
  absl::StatusOr<v1::VaultResult> Check(bool read_data, bool repair,
                                        const vault::JobContext& context = {}) {
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(read_data);
    order.mutable_check()->set_repair(repair);
    return vault_->Run(order, context);
  }
  void FlipPayload(int n) {
    for (const std::string& pack : Files("packs")) {
      ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(pack, 1 << 30));
      const size_t at = bytes.find(RecordPayload(n));
      if (at == std::string::npos) continue;
      bytes[at + 3] ^= 0x10;
      ASSERT_OK(WriteFileAtomic(pack, bytes));
      return;
    }
    FAIL() << "record " << n << " is nowhere";
  }

  bool parity_ = true;
};

TEST_F(VaultCheck, AGoodVaultHasNoProblems) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 25, 50));
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, false));
  EXPECT_THAT(result.problems(), IsEmpty());
  EXPECT_THAT(result.damaged_backups(), IsEmpty());
  EXPECT_EQ(result.records_damaged(), 0);
  EXPECT_EQ(result.records_checked(), 100);
  EXPECT_EQ(result.packs_checked(), static_cast<int64_t>(Files("packs").size()));
  EXPECT_EQ(result.bytes_read(), result.bytes_total());
  ASSERT_OK_AND_ASSIGN(const auto quick, Check(false, false));
  EXPECT_THAT(quick.problems(), IsEmpty());
  EXPECT_EQ(quick.bytes_read(), 0);
}

TEST_F(VaultCheck, AFlippedBitNamesItsBackupsAndIsAbsentFromThenOn) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 100, 50));
  FlipPayload(20);
  ASSERT_OK_AND_ASSIGN(const auto quick, Check(false, false));
  EXPECT_THAT(quick.damaged_backups(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, false));
  EXPECT_THAT(result.damaged_backups(), ElementsAre(IdOf("db", 1)));
  EXPECT_EQ(result.records_damaged(), 1);
  EXPECT_GE(result.problems_size(), 2);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  EXPECT_EQ(CountAbsent(session, 0, 50), 1);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 20, 1)));
  ASSERT_OK(Commit(session, SortedIds(0, 50)));
  ExpectReadable(0, 50);
  ASSERT_OK_AND_ASSIGN(const auto healed, Check(true, false));
  EXPECT_THAT(healed.damaged_backups(), IsEmpty());
}

TEST_F(VaultCheck, ParityRepairsTheFlippedBit) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  FlipPayload(20);
  EXPECT_EQ(Read({RecordId(20)}).problems.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, true));
  EXPECT_EQ(result.records_repaired(), 1);
  EXPECT_EQ(result.records_damaged(), 0);
  EXPECT_THAT(result.damaged_backups(), IsEmpty());
  EXPECT_THAT(result.problems(), IsEmpty());
  ExpectReadable(0, 50);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  EXPECT_EQ(CountAbsent(session, 0, 50), 0);
}

// A new index finds the records of a pack without a footer one by one, and passes over a damaged
// one; of a pack that begins with damage it finds none.
TEST_F(VaultCheck, RepairedRecordsThatANewIndexCouldNotReadAreFound) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 100, 1));
  for (const int n : {20, 100}) FlipPayload(n);
  for (const std::string& pack : Files("packs")) {
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(pack, 1 << 30));
    bytes.back() ^= 1;
    ASSERT_OK(WriteFileAtomic(pack, bytes));
  }
  vault_.reset();
  std::filesystem::remove_all(directory_.Join("index"));
  Reopen();
  EXPECT_EQ(Read(SortedIds(0, 50)).problems.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, true));
  EXPECT_EQ(result.records_damaged(), 0);
  EXPECT_THAT(result.damaged_backups(), IsEmpty());
  EXPECT_THAT(result.problems(), IsEmpty());
  ExpectReadable(0, 50);
  ExpectReadable(100, 1);
}

TEST_F(VaultCheck, ACheckWithoutRepairChangesNoPack) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  FlipPayload(20);
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, false));
  EXPECT_EQ(result.records_repaired(), 0);
  EXPECT_EQ(result.records_damaged(), 1);
  EXPECT_EQ(Read({RecordId(20)}).problems.size(), 1u);
}

TEST_F(VaultCheck, ALostPackIsFoundWithoutReadingData) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(RemoveFile(Files("packs")[0]));
  ASSERT_OK_AND_ASSIGN(const auto result, Check(false, false));
  EXPECT_THAT(result.damaged_backups(), ElementsAre(IdOf("db", 1)));
  EXPECT_GT(result.records_damaged(), 0);
  EXPECT_THAT(result.problems(), Contains(HasSubstr("is gone")));
}

TEST_F(VaultCheck, AChangedReferenceSetAndALostRecordAreFound) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  ASSERT_OK(Backup("db", 2, 0, 5));
  ASSERT_OK(Backup("db", 3, 0, 5));
  ASSERT_OK_AND_ASSIGN(std::string refs, ReadFile(Files("refs")[2], 1 << 20));
  refs[60] ^= 1;
  ASSERT_OK(WriteFileAtomic(Files("refs")[2], refs));
  ASSERT_OK(RemoveFile(Files("snaps")[0]));
  ASSERT_OK_AND_ASSIGN(const auto result, Check(false, false));
  EXPECT_THAT(result.damaged_backups(), ElementsAre(IdOf("db", 1), IdOf("db", 3)));
}

TEST_F(VaultCheck, AForeignPackIsReported) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  const std::string foreign = std::string(64, 'a');
  ASSERT_OK(MakeDirectories(directory_.Join("packs/aa")));
  ASSERT_OK(WriteFileAtomic(directory_.Join(absl::StrCat("packs/aa/", foreign)), "no pack"));
  ASSERT_OK_AND_ASSIGN(const auto result, Check(false, false));
  ASSERT_EQ(result.problems_size(), 1);
  EXPECT_THAT(result.problems(0), HasSubstr("is not in the index"));
  EXPECT_THAT(result.damaged_backups(), IsEmpty());
}

TEST_F(VaultCheck, RecordsOfATrashedBackupAreCheckedToo) {
  WithoutParity();
  ASSERT_OK(Backup("db", 1, 0, 20));
  v1::VaultOrder order;
  order.mutable_delete_()->add_backup_ids(IdOf("db", 1));
  order.mutable_delete_()->set_by_person(true);
  ASSERT_OK(vault_->Run(order, {}));
  FlipPayload(3);
  ASSERT_OK_AND_ASSIGN(const auto result, Check(true, false));
  EXPECT_THAT(result.damaged_backups(), ElementsAre(IdOf("db", 1)));
}

TEST_F(VaultCheck, IsCancelledAndRefusesWhatItCannotDo) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(Check(true, false, {.cancelled = &cancelled}), HasCode(StatusCode::kCancelled));
  EXPECT_THAT(Check(false, true), HasCode(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace ember::testing
