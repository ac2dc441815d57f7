#include "tests/unit/controller/vault_jobs_fixture.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ember::testing::HasCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;

std::string Why(const absl::StatusOr<rec::RunRecord>& refused) {
  return std::string(refused.status().message());
}

TEST_F(VaultJobs, DeletingNeedsAConfirmationThatSaysWhatIsLost) {
  const auto asked = AskDelete("db/1", false);
  EXPECT_THAT(asked, HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(asked), HasSubstr("db/1 (7 files"));
  EXPECT_THAT(Why(asked), HasSubstr("vault 'nas' for 1h"));
  EXPECT_THAT(Why(asked), HasSubstr("2 other good backups of 'db' stay"));
  EXPECT_THAT(AskDelete("db/9"), HasCode(Code::kNotFound));
}

TEST_F(VaultJobs, WhatMustNotGoIsRefused) {
  const std::pair<const char*, std::function<void(rec::BackupRecord&)>> rows[] = {
      {"it is pinned", [](rec::BackupRecord& r) { r.mutable_backup()->set_pinned(true); }},
      {"never completed",
       [](rec::BackupRecord& r) { r.mutable_backup()->set_outcome(v1::Outcome::RUNNING); }},
      {"never completed",
       [](rec::BackupRecord& r) { r.mutable_backup()->set_outcome(v1::Outcome::FAILED); }},
      {"in the trash already", [](rec::BackupRecord& r) { r.mutable_backup()->set_trashed(true); }},
  };
  const rec::BackupRecord before = RecordOf("db/1");
  for (const auto& [why, edit] : rows) {
    Change("db/1", edit);
    EXPECT_THAT(AskDelete("db/1"), HasCode(Code::kFailedPrecondition));
    EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr(why));
    Change("db/1", [&](rec::BackupRecord& r) { r = before; });
  }
  EXPECT_THAT(Why(AskDelete("db/3")), HasSubstr("newest good backup of 'db'"));
  // The newest good one is the one before, once the newest is known to be damaged.
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  EXPECT_OK(AskDelete("db/3"));
  EXPECT_THAT(AskDelete("db/2"), HasCode(Code::kFailedPrecondition));
}

TEST_F(VaultJobs, WhenNoBackupIsGoodTheDoubtfulOnesStay) {
  for (const char* id : {"db/1", "db/2", "db/3"})
    Change(id, [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  EXPECT_THAT(AskDelete("db/1"), HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr("no backup of 'db' is good"));
}

TEST_F(VaultJobs, ABackupInUseIsNotDeleted) {
  rec::RunRecord restore = NewRunOf("restore");
  restore.mutable_run()->set_backup_id("db/1");
  Write(restore);
  EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr(restore.run().id()));
  EXPECT_OK(AskDelete("db/2"));
}

TEST_F(VaultJobs, ADeletedBackupIsNotGoodFromTheMomentItMayBeGone) {
  const std::string run = Begin(AskDelete("db/2"));
  const v1::DeleteBackupsJob job = OrderOf(run).vault().delete_();
  EXPECT_THAT(job.backup_ids(), ElementsAre("db/2"));
  EXPECT_TRUE(job.by_person());
  EXPECT_EQ(job.who(), "anna");
  EXPECT_EQ(job.why(), "too old");
  EXPECT_EQ(OrderOf(run).workload(), "") << "no placement is concerned";
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/1"));
  Done(run);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::OK);
  EXPECT_TRUE(Of("db/2").trashed());
  EXPECT_EQ(rpc::FromTimestamp(Of("db/2").trashed_until()), clock_.Now() + absl::Hours(1));
  EXPECT_THAT(Events("delete.ok"), ElementsAre("db/2: deleted by anna: too old"));
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_trashed(true); });
  EXPECT_EQ(Latest(), "db/1");
}

TEST_F(VaultJobs, ADeletionThatTheVaultRefusesLeavesTheBackup) {
  const std::string run = Begin(AskDelete("db/2"));
  Failed(run, Code::kFailedPrecondition);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Run(run).error(), "the engine says no");
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
}

TEST_F(VaultJobs, ADeletionThatTheVaultDoesNotKnowLeavesNoGoodBackup) {
  Failed(Begin(AskDelete("db/2")), Code::kNotFound);
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Of("db/2").error(), HasSubstr("does not hold it"));
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/1"));
}

TEST_F(VaultJobs, ADeletionOfUnknownResultCountsAsDone) {
  const std::string run = Begin(AskDelete("db/2"));
  Failed(run, Code::kUnavailable);
  EXPECT_TRUE(Of("db/2").trashed());
  const std::string other = Begin(AskDelete("db/1"));
  rec::NodeRecord node;
  node.set_name("nas1");
  node.set_state(v1::NodeState::DEAD);
  Write(node);
  Advance();
  EXPECT_EQ(Run(other).outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(Good(), ElementsAre("db/3"));
}

TEST_F(VaultJobs, WhatBecameTheNewestGoodBackupMeanwhileIsNotDeleted) {
  const std::string gc = Begin(AskJob(Job("gc")));
  const std::string waiting = Begin(AskDelete("db/2"));
  EXPECT_EQ(OrderOf(waiting).id(), "") << "one job of a vault at a time";
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  Done(gc);
  Advance();
  EXPECT_EQ(Run(waiting).outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(Run(waiting).error(), HasSubstr("newest good backup"));
  EXPECT_FALSE(Of("db/2").trashed());
}

TEST_F(VaultJobs, ACollectionPutsRightWhatLostAnswersLeft) {
  for (const char* id : {"db/1", "db/2"}) Failed(Begin(AskDelete(id)), Code::kUnavailable);
  const std::string run = Begin(AskJob(Job("gc")));
  EXPECT_THAT(OrderOf(run).vault().gc().trashed(), ElementsAre("db/1", "db/2"));
  v1::VaultResult result;
  result.add_backups("db/1");  // purged by a collection whose answer was lost
  result.add_not_deleted("db/2");
  Done(run, result);
  EXPECT_FALSE(Exists("db/1"));
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2"));
  EXPECT_THAT(Events("backup.not_deleted"), ElementsAre(HasSubstr("db/2: ")));
}

TEST_F(VaultJobs, UndeletingMakesItGoodAgain) {
  EXPECT_THAT(AskUndelete("db/2"), HasCode(Code::kFailedPrecondition));
  Done(Begin(AskDelete("db/2")));
  const std::string run = Begin(AskUndelete("db/2"));
  EXPECT_THAT(OrderOf(run).vault().undelete().backup_ids(), ElementsAre("db/2"));
  EXPECT_TRUE(Of("db/2").trashed()) << "until the vault says so";
  Done(run);
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_FALSE(Of("db/2").has_trashed_until());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
}

TEST_F(VaultJobs, ABackupIsForgottenWhenTheVaultSaysThatItIsGone) {
  Done(Begin(AskDelete("db/2")));
  v1::VaultJobRequest empty = Job("gc");
  empty.set_empty_trash(true);
  EXPECT_THAT(AskJob(empty), HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(AskJob(empty)), HasSubstr("db/2"));
  empty.set_confirmed(true);
  const std::string failed = Begin(AskJob(empty));
  EXPECT_TRUE(OrderOf(failed).vault().gc().empty_trash());
  Failed(failed, Code::kResourceExhausted);
  EXPECT_TRUE(Exists("db/2"));
  const std::string run = Begin(AskJob(empty));
  v1::VaultResult result;
  result.add_backups("db/2");
  result.set_bytes_freed(4096);
  Done(run, result);
  EXPECT_FALSE(Exists("db/2"));
  EXPECT_EQ(Run(run).vault_result().bytes_freed(), 4096);
  EXPECT_THAT(Events("backup.purged"), ElementsAre(HasSubstr("db/2: ")));
}

TEST_F(VaultJobs, ACheckThatPassesRaisesTheLevelOfWhatItCovered) {
  const std::string quick = Begin(AskJob(Job("check")));
  EXPECT_FALSE(OrderOf(quick).vault().check().read_data());
  Done(quick);
  EXPECT_EQ(Of("db/1").verified_level(), "L0");
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  full.set_repair(true);
  const std::string run = Begin(AskJob(full));
  EXPECT_TRUE(OrderOf(run).vault().check().read_data());
  EXPECT_TRUE(OrderOf(run).vault().check().repair());
  // Made while the check was under way: it may have been overlooked.
  clock_.Advance(absl::Minutes(1));
  rec::RunRecord backup_run = NewRunOf("backup");
  backup_run.mutable_run()->set_outcome(v1::Outcome::OK);
  *backup_run.mutable_run()->mutable_ended() = rpc::ToTimestamp(clock_.Now());
  Write(backup_run);
  AddBackup("db/4");
  Change("db/4", [&](rec::BackupRecord& r) { r.set_run_id(backup_run.run().id()); });
  Done(run);
  EXPECT_EQ(Of("db/1").verified_level(), "L1");
  EXPECT_EQ(Of("db/4").verified_level(), "");
  Done(Begin(AskJob(Job("check"))));
  EXPECT_EQ(Of("db/1").verified_level(), "L1") << "a lesser check takes nothing back";
}

TEST_F(VaultJobs, ADamagedBackupIsNotGoodAndSaidOnce) {
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  v1::VaultResult damage;
  damage.set_records_damaged(2);
  damage.add_damaged_backups("db/3");
  for (int i = 0; i < 2; ++i) {
    const std::string run = Begin(AskJob(full));
    Done(run, damage);
    EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
    EXPECT_EQ(Run(run).code(), static_cast<int>(Code::kDataLoss));
    EXPECT_EQ(Run(run).error(), "vault 'nas' is damaged: 2 damaged records; needed by db/3");
    EXPECT_EQ(Run(run).vault_result().records_damaged(), 2);
  }
  EXPECT_FALSE(Of("db/3").verified());
  EXPECT_EQ(Of("db/3").verified_level(), "");
  EXPECT_THAT(Of("db/3").error(), HasSubstr("vault 'nas'"));
  EXPECT_EQ(Of("db/2").verified_level(), "L1");
  EXPECT_THAT(Good(), ElementsAre("db/2", "db/1"));
  EXPECT_THAT(Events("backup.damaged"), ElementsAre(HasSubstr("db/3: ")));
  Done(Begin(AskJob(full)));
  EXPECT_FALSE(Of("db/3").verified()) << "only a verification with the keys makes it good again";
}

TEST_F(VaultJobs, WhatIsNoJobIsRefused) {
  EXPECT_THAT(AskJob(Job("defragment")), HasCode(Code::kInvalidArgument));
  v1::VaultJobRequest request = Job("gc");
  request.set_repair(true);
  EXPECT_THAT(AskJob(request), HasCode(Code::kInvalidArgument));
  request = Job("check");
  request.set_empty_trash(true);
  EXPECT_THAT(AskJob(request), HasCode(Code::kInvalidArgument));
  request = Job("check");
  request.set_vault("usb");
  EXPECT_THAT(AskJob(request), HasCode(Code::kNotFound));
  EXPECT_THAT(Events("gc.asked"), IsEmpty());
}

TEST_F(VaultJobs, TheLastJobsAreRememberedWhateverTheirOutcome) {
  v1::VaultResult freed;
  freed.set_bytes_freed(4096);
  Done(Begin(AskJob(Job("gc"))), freed);
  const absl::Time collected = clock_.Now();
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  v1::VaultResult damage;
  damage.set_records_damaged(2);
  Done(Begin(AskJob(full)), damage);
  EXPECT_EQ(rpc::FromTimestamp(Vault().last_gc().time()), collected);
  EXPECT_EQ(Vault().last_gc().outcome(), v1::Outcome::OK);
  EXPECT_EQ(Vault().last_gc().bytes_freed(), 4096);
  EXPECT_EQ(Vault().last_check().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Vault().last_check().level(), "L1");
  EXPECT_EQ(Vault().last_check().records_damaged(), 2);
  EXPECT_THAT(Vault().last_check().error(), HasSubstr("2 damaged records"));
  Failed(Begin(AskJob(Job("gc"))), Code::kResourceExhausted);
  EXPECT_EQ(Vault().last_gc().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Vault().last_gc().bytes_freed(), 0);
}

TEST_F(VaultJobs, CollectionAndCheckComeBySchedule) {
  EditVault([](v1::VaultSpec& vault) {
    vault.set_gc_every_seconds(3600);
    vault.set_check_every_seconds(7200);
  });
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty()) << "it counts from now";
  clock_.Advance(absl::Minutes(61));
  AddDue();
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("gc"));
  clock_.Advance(absl::Minutes(60));
  AddDue();
  EXPECT_THAT(OpenJobs(), UnorderedElementsAre("gc", "check")) << "one of a kind";
  Advance();
  EXPECT_TRUE(OrderOf(FirstOpenJob()).has_vault());
}

TEST_F(VaultJobs, AScheduledJobWaitsForItsNode) {
  EditVault([](v1::VaultSpec& vault) { vault.set_check_every_seconds(3600); });
  AddDue();
  clock_.Advance(absl::Hours(2));
  AddDue();
  rec::NodeRecord node;
  node.set_name("nas1");
  node.set_state(v1::NodeState::UNREACHABLE);
  Write(node);
  Advance();
  EXPECT_EQ(Run(FirstOpenJob()).outcome(), v1::Outcome::PENDING);
  EXPECT_THAT(Run(FirstOpenJob()).error(), HasSubstr("not ALIVE"));
  node.set_state(v1::NodeState::ALIVE);
  Write(node);
  Advance();
  EXPECT_TRUE(OrderOf(FirstOpenJob()).vault().check().read_data());
}

TEST_F(VaultJobs, WhatWasDeletedGoesWithoutASchedule) {
  AddDue();
  Done(Begin(AskDelete("db/1")));
  clock_.Advance(absl::Minutes(59));
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
  clock_.Advance(absl::Minutes(2));
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("gc"));
  Advance();
  EXPECT_FALSE(OrderOf(FirstOpenJob()).vault().gc().empty_trash());
}

TEST_F(VaultJobs, AVaultThatLeavesTheEstateIsForgotten) {
  AddDue();
  EXPECT_EQ(Vault().name(), "nas");
  Write(rec::EstateRecord());
  AddDue();
  EXPECT_EQ(Vault().name(), "");
}

TEST_F(VaultJobs, TheIndexIsMadeAnewByAnOrderOfItsOwn) {
  const std::string run = Begin(AskJob(Job("rebuild-index")));
  EXPECT_TRUE(OrderOf(run).vault().has_rebuild_index());
  EXPECT_EQ(OrderOf(run).id(), absl::StrCat(run, "/nas/rebuild-index/1"));
  Done(run);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::OK);
}

// A backup whose record in the vault cannot be read has no name there.
TEST_F(VaultJobs, ACheckWithProblemsRaisesNoLevel) {
  v1::VaultResult result;
  result.add_problems("1 stored backups have a damaged record");
  Done(Begin(AskJob(Job("check"))), result);
  EXPECT_EQ(Of("db/1").verified_level(), "");
  Done(Begin(AskJob(Job("check"))));
  EXPECT_EQ(Of("db/1").verified_level(), "L0");
}

}  // namespace
}  // namespace ember::controller
