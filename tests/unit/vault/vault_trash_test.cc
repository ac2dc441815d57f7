#include "common/base/deletion_budget.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/vault/deletion.h"
#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class VaultTrash : public VaultJobsFixture {
 protected:
  vault::VaultOptions Options(const std::string& directory) override {
    vault::VaultOptions options = VaultFixture::Options(directory);
    options.rules.min_retention = min_retention_;
    return options;
  }
  void MakeBackups(int count) {
    for (int n = 1; n <= count; ++n) ASSERT_OK(Backup("db", n, n, 1));
  }

  absl::Duration min_retention_ = absl::ZeroDuration();
};

TEST_F(VaultTrash, ADeletedBackupIsNotFoundAndCanBeHadBack) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK(Backup("db", 2, 10, 10));
  const std::string id = IdOf("db", 1);
  ASSERT_OK_AND_ASSIGN(const auto before, vault_->GetBackup(id));
  ASSERT_OK_AND_ASSIGN(const auto result, Delete({id}));
  EXPECT_THAT(result.backups(), ElementsAre(id));
  for (int round = 0; round < 2; ++round) {
    const auto gone = vault_->GetBackup(id);
    EXPECT_THAT(gone, HasCodeAndText(StatusCode::kNotFound, "trash"));
    EXPECT_THAT(HintOf(gone.status()), HasSubstr("undelete"));
    EXPECT_EQ(vault_->ListBackups("")->items_size(), 1);
    EXPECT_THAT(vault_->ReadRefs(id, [](absl::string_view) { return absl::OkStatus(); }),
                HasCode(StatusCode::kNotFound));
    EXPECT_EQ(vault_->Facts().backups(), 1);
    EXPECT_EQ(vault_->Facts().trashed_backups(), 1);
    ExpectReadable(0, 20);
    Reopen();
  }
  ASSERT_OK_AND_ASSIGN(const auto undone, Undelete({id}));
  EXPECT_THAT(undone.backups(), ElementsAre(id));
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto after, vault_->GetBackup(id));
    EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
    EXPECT_EQ(vault_->Facts().trashed_backups(), 0);
    EXPECT_EQ(vault_->Facts().problem(), "");
    Reopen();
  }
  EXPECT_THAT(Files("trash"), IsEmpty());
}

TEST_F(VaultTrash, ARepeatedOrderIsDoneAlready) {
  MakeBackups(2);
  const std::string id = IdOf("db", 1);
  ASSERT_OK_AND_ASSIGN(const auto first, Delete({id}));
  clock_.Advance(absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const auto second, Delete({id}));
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  ASSERT_OK(Undelete({id}));
  ASSERT_OK(Undelete({id}));
  ASSERT_OK(Delete({id}));
  ASSERT_OK(Gc(/*empty_trash=*/true));
  ASSERT_OK(Delete({id}));  // gone for good counts too
}

TEST_F(VaultTrash, AnOrderThatNamesAnUnknownBackupDoesNothing) {
  MakeBackups(2);
  EXPECT_THAT(Delete({IdOf("db", 1), IdOf("db", 7)}), HasCode(StatusCode::kNotFound));
  EXPECT_EQ(vault_->Facts().backups(), 2);
  ASSERT_OK(Delete({IdOf("db", 1)}));
  EXPECT_THAT(Undelete({IdOf("db", 1), IdOf("db", 7)}), HasCode(StatusCode::kNotFound));
  EXPECT_EQ(vault_->Facts().backups(), 1);
}

TEST_F(VaultTrash, MinRetentionHoldsAgainstPersonsToo) {
  min_retention_ = absl::Hours(48);
  Reopen();
  MakeBackups(2);
  clock_.Advance(absl::Hours(47));
  EXPECT_THAT(Delete({IdOf("db", 1)}), HasCodeAndText(StatusCode::kFailedPrecondition, "min_ret"));
  EXPECT_EQ(vault_->Facts().backups(), 2);
  clock_.Advance(absl::Hours(1) + absl::Seconds(1));
  EXPECT_OK(Delete({IdOf("db", 1)}));
}

// What the controller granted, in the vault's own time: neither a person nor the estate gets round
// it.
TEST_F(VaultTrash, AHeldBackupIsDeletedForNobody) {
  v1::Grant grant;
  grant.set_hold_seconds(absl::ToInt64Seconds(absl::Hours(72)));
  v1::OpenSessionRequest request = SessionRequest("db", 1);
  request.mutable_grant()->set_statement(grant.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const ClientSession session, Open(request));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 5)));
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply, Commit(session, SortedIds(0, 5)));
  v1::Receipt receipt;
  ASSERT_TRUE(receipt.ParseFromString(reply.receipt().statement()));
  EXPECT_EQ(receipt.held_until().seconds() - receipt.received().seconds(), 72 * 3600);
  ASSERT_OK(Backup("db", 2, 0, 5));
  clock_.Advance(absl::Hours(71));
  Reopen();
  EXPECT_THAT(Delete({IdOf("db", 1)}), HasCodeAndText(StatusCode::kFailedPrecondition, "held"));
  EXPECT_OK(Delete({IdOf("db", 2)})) << "the other one has no hold";
  clock_.Advance(absl::Hours(2));
  EXPECT_OK(Delete({IdOf("db", 1)}));
}

TEST_F(VaultTrash, WithoutAPersonTheBudgetHolds) {
  MakeBackups(20);
  EXPECT_THAT(Delete({IdOf("db", 1), IdOf("db", 2), IdOf("db", 3)}, /*by_person=*/false),
              HasCodeAndText(StatusCode::kFailedPrecondition, "budget"));
  EXPECT_EQ(vault_->Facts().backups(), 20);
  EXPECT_OK(Delete({IdOf("db", 1), IdOf("db", 2)}, false));
  EXPECT_OK(Delete({IdOf("db", 1), IdOf("db", 2)}, false));  // uses nothing up
  EXPECT_THAT(Delete({IdOf("db", 3)}, false), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_OK(Delete({IdOf("db", 3), IdOf("db", 4), IdOf("db", 5)}, true));
  EXPECT_EQ(vault_->Facts().backups(), 15);
}

TEST_F(VaultTrash, TheBudgetIsOfAnyTwentyFourHoursWhateverHappens) {
  MakeBackups(10);
  clock_.Advance(absl::Hours(23));  // 23:00, so that midnight comes before the window ends
  ASSERT_OK(Delete({IdOf("db", 1)}, false));
  const auto expect_refused = [this] {
    EXPECT_THAT(Delete({IdOf("db", 2)}, false), HasCode(StatusCode::kFailedPrecondition));
  };
  expect_refused();
  clock_.Advance(absl::Hours(2));
  expect_refused();
  Reopen();
  expect_refused();
  clock_.JumpWall(-absl::Hours(72));
  expect_refused();
  Reopen();
  expect_refused();
  ASSERT_OK(Gc(/*empty_trash=*/true));  // the tombstone counts as the trash did
  expect_refused();
  Reopen();
  expect_refused();
  clock_.JumpWall(absl::Hours(72));
  clock_.Advance(absl::Hours(21));
  expect_refused();
  clock_.Advance(absl::Hours(1) + absl::Minutes(1));
  EXPECT_OK(Delete({IdOf("db", 2)}, false));
}

TEST(DeletionBudgetTest, IsAShareOfTheBackupsAndAtLeastOne) {
  EXPECT_EQ(DeletionBudget(10, 1, 0), 1);
  EXPECT_EQ(DeletionBudget(10, 19, 0), 1);
  EXPECT_EQ(DeletionBudget(10, 100, 0), 10);
  EXPECT_EQ(DeletionBudget(10, 95, 5), 5);
  EXPECT_EQ(DeletionBudget(10, 90, 10), 0);
  EXPECT_EQ(DeletionBudget(10, 50, 50), 0);
  EXPECT_EQ(DeletionBudget(0, 100, 0), 1);
}

TEST_F(VaultTrash, AfterItsTimeADeletedBackupIsGoneAndLeavesATombstone) {
  MakeBackups(3);
  ASSERT_OK(Delete({IdOf("db", 3), IdOf("db", 2)}));
  clock_.Advance(absl::Hours(24 * 7) - absl::Seconds(1));
  ASSERT_OK(Gc());
  EXPECT_EQ(vault_->Facts().trashed_backups(), 2);
  clock_.Advance(absl::Seconds(2));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc());
  EXPECT_THAT(result.backups(), ElementsAre(IdOf("db", 2), IdOf("db", 3)));
  EXPECT_EQ(Files("refs").size(), 1u);
  EXPECT_EQ(Files("tombstones").size(), 2u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(vault_->Facts().trashed_backups(), 0);
    EXPECT_EQ(vault_->Facts().problem(), "");
    EXPECT_THAT(Undelete({IdOf("db", 2)}), HasCodeAndText(StatusCode::kNotFound, "gone"));
    EXPECT_THAT(vault_->GetBackup(IdOf("db", 2)), HasCodeAndText(StatusCode::kNotFound, "anna"));
    // Its id is not given away again, and numbers go on above it.
    EXPECT_THAT(Open(SessionRequest("db", 3)), HasCode(StatusCode::kAlreadyExists));
    vault_.reset();
    ASSERT_OK(RemoveFile(directory_.Join("state/sequence")));
    Reopen();
  }
  EXPECT_EQ(Backup("db", 4, 4, 1)->sequence(), 4u);
  Reopen();
  EXPECT_EQ(vault_->Facts().problem(), "");
}

TEST_F(VaultTrash, ACollectionSaysWhatBecameOfWhatTheControllerTakesToBeInTheTrash) {
  MakeBackups(4);
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK(Gc(/*empty_trash=*/true));  // its answer is lost
  ASSERT_OK(Delete({IdOf("db", 2)}));
  v1::VaultOrder order;
  order.mutable_gc()->add_trashed("db/20200101-000000");
  for (const int n : {1, 2, 3}) order.mutable_gc()->add_trashed(IdOf("db", n));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, vault_->Run(order, {}));
  EXPECT_THAT(result.backups(), ElementsAre(IdOf("db", 1))) << "purged before";
  EXPECT_THAT(result.not_deleted(), ElementsAre(IdOf("db", 3)));
}

// Later at each look.
class RunningClock : public FakeClock {
 public:
  absl::Time Now() override {
    Advance(absl::Milliseconds(1));
    return FakeClock::Now();
  }
};

class VaultTrashOnARunningClock : public VaultJobsFixture {
 protected:
  vault::VaultOptions Options(const std::string& directory) override {
    vault::VaultOptions options = VaultFixture::Options(directory);
    options.clock = &running_;
    return options;
  }

  RunningClock running_;
};

TEST_F(VaultTrashOnARunningClock, EmptyingItUnlinksWhatTheSameRoundPutsThere) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK(Backup("db", 2, 10, 10));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, Gc(/*empty_trash=*/true));
  EXPECT_GT(result.bytes_freed(), 0);
  EXPECT_EQ(result.bytes_in_trash(), 0);
  ExpectReadable(10, 10);
}

TEST_F(VaultTrash, NewRulesHoldFromTheNextOrderOn) {
  MakeBackups(3);
  ASSERT_OK(Delete({IdOf("db", 1)}));
  vault_->SetRules({.min_retention = absl::Hours(1)});
  EXPECT_THAT(Delete({IdOf("db", 2)}), HasCode(StatusCode::kFailedPrecondition));
  vault_->SetRules({});
  EXPECT_OK(Delete({IdOf("db", 2)}));
}

TEST_F(VaultTrash, ABackupInTwoPlacesIsSettledWhenTheVaultIsOpened) {
  MakeBackups(2);
  const std::string id = IdOf("db", 1);
  const std::string snaps = Files("snaps")[0];
  const std::string kept = directory_.Join("kept");
  fs::copy(snaps, kept);
  ASSERT_OK(Delete({id}));
  const std::string trash = Files("trash")[0];
  const std::string kept_trash = directory_.Join("kept-trash");
  fs::copy(trash, kept_trash);
  // A deletion, or an undeletion, that was cut short.
  vault_.reset();
  fs::copy(kept, snaps);
  Reopen();
  EXPECT_OK(vault_->GetBackup(id));
  EXPECT_THAT(Files("trash"), IsEmpty());
  EXPECT_EQ(vault_->Facts().problem(), "");
  // A purge that was cut short after the tombstone.
  ASSERT_OK(Delete({id}));
  const std::string refs = Files("refs")[0];
  fs::copy(refs, directory_.Join("kept-refs"));
  ASSERT_OK(Gc(true));
  vault_.reset();
  fs::create_directories(fs::path(trash).parent_path());
  fs::copy(kept_trash, trash);
  fs::copy(directory_.Join("kept-refs"), refs);
  Reopen();
  EXPECT_THAT(vault_->GetBackup(id), HasCode(StatusCode::kNotFound));
  EXPECT_THAT(Undelete({id}), HasCode(StatusCode::kNotFound));
  EXPECT_EQ(vault_->Facts().trashed_backups(), 0);
  EXPECT_EQ(Files("refs").size(), 1u);
  EXPECT_EQ(vault_->Facts().problem(), "");
}

TEST_F(VaultTrash, AMissingRecordShows) {
  MakeBackups(4);
  vault_.reset();
  fs::remove(Files("snaps")[1]);
  Reopen();
  EXPECT_THAT(vault_->Facts().problem(), HasSubstr("missing"));
  // Its ids are all that is left of it: they stay, and so do its records.
  EXPECT_EQ(Files("refs").size(), 4u);
  ASSERT_OK(Gc(true));
  ExpectReadable(1, 4);
  EXPECT_EQ(Backup("db", 5, 5, 1)->sequence(), 5u);
}

TEST_F(VaultTrash, TheLossOfTheNewestRecordShowsToo) {
  MakeBackups(3);
  vault_.reset();
  const std::string snaps = Files("snaps")[2];
  fs::rename(snaps, directory_.Join("kept"));
  for (const bool state_lost : {false, true}) {
    // Without the state nobody can tell; with it the loss shows, until the record is back.
    if (state_lost) fs::remove_all(directory_.Join("state/domains"));
    Reopen();
    if (state_lost) {
      EXPECT_EQ(vault_->Facts().problem(), "");
    } else {
      EXPECT_THAT(vault_->Facts().problem(), HasSubstr("missing"));
      EXPECT_EQ(Files("refs").size(), 3u);
    }
    vault_.reset();
  }
}

TEST_F(VaultTrash, AnExchangedRecordShows) {
  MakeBackups(3);
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(Files("snaps")[1]));
  TempDir other;
  {
    // Another vault's record of the same name.
    auto options = Options(other.path());
    ASSERT_OK_AND_ASSIGN(vault_, vault::Vault::Open(options));
    MakeBackups(1);
    ASSERT_OK(Backup("db", 2, 50, 1));
    vault_.reset();
  }
  const fs::path victim = Files("snaps")[1];
  const fs::path forged = fs::path(other.path()) / fs::relative(victim, directory_.path());
  ASSERT_TRUE(fs::exists(forged));
  fs::copy(forged, victim, fs::copy_options::overwrite_existing);
  Reopen();
  EXPECT_OK(vault_->GetBackup(IdOf("db", 2)));  // whole in itself
  EXPECT_THAT(vault_->Facts().problem(), HasSubstr("exchanged"));
}

TEST_F(VaultTrash, DeletedBackupsAreNoHoleInTheChain) {
  MakeBackups(6);
  ASSERT_OK(Delete({IdOf("db", 1), IdOf("db", 3)}));
  ASSERT_OK(Gc(true));
  ASSERT_OK(Delete({IdOf("db", 4), IdOf("db", 6)}));
  ASSERT_OK(Backup("db", 7, 7, 1));
  Reopen();
  EXPECT_EQ(vault_->Facts().problem(), "");
  vault_.reset();
  fs::remove(Files("tombstones")[1]);
  Reopen();
  EXPECT_THAT(vault_->Facts().problem(), HasSubstr("missing"));
}

TEST_F(VaultTrash, ADamagedTrashedBackupIsReportedAndItsIdsStay) {
  MakeBackups(2);
  ASSERT_OK(Delete({IdOf("db", 1)}));
  vault_.reset();
  const std::string file = Files("trash")[0];
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(file));
  bytes[60] ^= 1;
  ASSERT_OK(WriteFileAtomic(file, bytes));
  Reopen();
  EXPECT_THAT(vault_->Facts().problem(), HasSubstr("damaged"));
  ASSERT_OK(Gc(true));
  ExpectReadable(1, 2);
}

}  // namespace
}  // namespace ember::testing
