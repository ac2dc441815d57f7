#include "controller/protect/replicas.h"

#include "common/base/limits.h"
#include "tests/unit/controller/vault_jobs_fixture.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ember::testing::HasCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Code = absl::StatusCode;

// A second vault, "usb" on the live node nas2, copies from "nas".
class Replicas : public VaultJobs {
 protected:
  Replicas() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate = em_.catalog->estate();
    v1::VaultSpec* usb = estate.mutable_estate()->add_vaults();
    usb->set_name("usb");
    usb->set_node("nas2");
    usb->add_replicate_from("nas");
    Write(estate);
    SetNode("nas2", v1::NodeState::ALIVE);
    em_.board.nodes["nas2"].address = "nas2:7444";
    SetServed("nas1", "nas", true);
    SetServed("nas2", "usb", true);
  }
  void SetServed(const std::string& node, const std::string& vault,
                 bool served) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::VaultFact& fact = em_.board.nodes[node].vaults[vault];
    fact.set_vault_id(served ? vault + " disk" : "");
    fact.set_problem(served ? "" : "not mounted");
  }
  void SetNode(const std::string& name, v1::NodeState::Value state) {
    rec::NodeRecord node;
    node.set_name(name);
    node.set_state(state);
    Write(node);
  }
  rec::VaultRecord UsbRecord() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->vaults().at("usb");
  }
  absl::StatusOr<v1::VaultAddress> Nearest(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return NearestCopy(em_, RecordOf(id));
  }
  v1::VaultJobRequest Replicate() {
    v1::VaultJobRequest request = Job("replicate");
    request.set_vault("usb");
    request.set_from("nas");
    return request;
  }
  static v1::VaultResult Copied(const std::vector<std::string>& ids) {
    v1::VaultResult result;
    for (const std::string& id : ids) result.add_backups(id);
    return result;
  }
};

TEST_F(Replicas, WhatIsMissingIsCopiedByItself) {
  AddDue();
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("replicate")) << "one at a time";
  const std::string run = FirstOpenJob();
  Advance();
  const v1::Order order = OrderOf(run);
  EXPECT_EQ(order.vault().vault(), "usb");
  EXPECT_EQ(order.vault().replicate().from().name(), "nas");
  EXPECT_EQ(order.vault().replicate().from().address(), "nas1:7444");
  Done(run, Copied({"db/1", "db/2", "db/3", "foreign/1"}));
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas", "usb"));
  EXPECT_THAT(Events("replicate.ok"), ElementsAre(HasSubstr("3 backups copied from vault 'nas'")));
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
}

TEST_F(Replicas, APolicyThatNamesBothVaultsAsksForCopiesOfItsWorkloads) {
  rec::EstateRecord estate = em_.catalog->estate();
  estate.mutable_estate()->mutable_vaults(1)->clear_replicate_from();
  Write(estate);
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
  v1::PolicySpec* policy = estate.mutable_estate()->add_policies();
  policy->set_name("daily");
  policy->add_vaults("nas");
  policy->add_vaults("usb");
  estate.mutable_estate()->mutable_workloads(0)->add_policies("daily");
  Write(estate);
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("replicate"));
  const std::string run = FirstOpenJob();
  Advance();
  EXPECT_EQ(OrderOf(run).vault().vault(), "usb");
  EXPECT_THAT(OrderOf(run).vault().replicate().workloads(), ElementsAre("db"));
  Done(run, Copied({"db/1", "db/2", "db/3"}));
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
}

TEST_F(Replicas, AFailureIsTriedAgainAfterAWhileButANewBackupAtOnce) {
  AddDue();
  Advance();
  Failed(FirstOpenJob(), Code::kUnavailable);
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
  clock_.Advance(absl::Seconds(kReplicationRetrySeconds));
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("replicate"));
  Advance();
  Failed(FirstOpenJob(), Code::kDataLoss);
  clock_.Advance(absl::Seconds(kReplicationRetrySeconds));
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty()) << "damage does not heal in minutes";
  rec::RunRecord backup = NewRunOf("backup");
  backup.mutable_run()->set_outcome(v1::Outcome::OK);
  *backup.mutable_run()->mutable_ended() = rpc::ToTimestamp(clock_.Now() + absl::Seconds(1));
  Write(backup);
  AddBackup("db/4");
  Change("db/4", [&](rec::BackupRecord& record) { record.set_run_id(backup.run().id()); });
  AddDue();
  EXPECT_THAT(OpenJobs(), ElementsAre("replicate"));
}

TEST_F(Replicas, WhatTheVaultWillNotTakeIsNotTriedForEver) {
  AddDue();
  Advance();
  Done(FirstOpenJob(), Copied({"db/1", "db/2"}));
  for (int minute = 0; minute < 60; ++minute) {
    clock_.Advance(absl::Minutes(1));
    AddDue();
    ASSERT_THAT(OpenJobs(), IsEmpty());
  }
  clock_.Advance(absl::Hours(kReplicationSweepHours));
  AddDue();
  EXPECT_THAT(OpenJobs(), ElementsAre("replicate"));
}

TEST_F(Replicas, AScheduledCopyDoesNotWaitForItsSource) {
  AddDue();
  const std::string run = FirstOpenJob();
  SetNode("nas1", v1::NodeState::UNREACHABLE);
  Advance();
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
}

TEST_F(Replicas, DamageMetInACopySaysNothingAboutTheBackup) {
  Done(Begin(AskJob(Replicate())), Copied({"db/3"}));
  SetServed("nas1", "nas", false);
  EXPECT_EQ(Nearest("db/3")->name(), "usb") << "its node is ALIVE, its disk is not mounted";
  rec::RunRecord restore = NewRunOf("restore");
  restore.mutable_run()->set_backup_id("db/3");
  restore.mutable_restore_request()->set_to_node("nas1");
  restore.mutable_restore_request()->set_to_directory("/tmp/x");
  const std::string run = Begin(restore);
  ASSERT_EQ(OrderOf(run).restore().vault().name(), "usb");
  Failed(run, Code::kDataLoss);
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas"));
  EXPECT_THAT(Of("db/3").copies_damaged(), ElementsAre("usb"));
}

// The vault knows of the one record that was met; a replication would send that, and take the rest
// as it is.
TEST_F(Replicas, ACopyInWhichDamageWasMetIsNoneUntilItsVaultWasChecked) {
  Done(Begin(AskJob(Replicate())), Copied({"db/1", "db/2", "db/3"}));
  rec::RunRecord verify = NewRunOf("verify");
  verify.mutable_run()->set_backup_id("db/3");
  verify.mutable_run()->set_vault("usb");
  Failed(Begin(verify), Code::kDataLoss);
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas"));
  const std::string replication = Begin(AskJob(Replicate()));
  Done(replication, Copied({"db/3"}));
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas"));
  EXPECT_THAT(Events("replicate.ok").back(), HasSubstr("1 wait for the check of vault 'usb'"));

  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("check")) << "by itself";
  const std::string check = FirstOpenJob();
  Advance();
  const v1::VaultOrder order = OrderOf(check).vault();
  EXPECT_EQ(order.vault(), "usb");
  EXPECT_TRUE(order.check().read_data() && order.check().repair());
  EXPECT_EQ(order.check().other().name(), "nas");
  AddDue();
  EXPECT_THAT(OpenJobs(), ElementsAre("check")) << "once";
  Failed(check, Code::kUnavailable);
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty()) << "not at once again";
  EXPECT_THAT(Of("db/3").copies_damaged(), ElementsAre("usb"));
  clock_.Advance(absl::Seconds(kReplicationRetrySeconds));
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("check"));
  const std::string again = FirstOpenJob();
  Advance();
  Done(again);
  EXPECT_THAT(Of("db/3").copies_damaged(), IsEmpty());
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("replicate")) << "what was bad is sent again, at once";
  const std::string last = FirstOpenJob();
  Advance();
  Done(last, Copied({"db/3"}));
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas", "usb"));
}

TEST_F(Replicas, ASampleDoesNotTakeBackThatAllWasRead) {
  Done(Begin(AskJob(Replicate())), Copied({"db/3"}));
  const auto verify = [&](int percent, const std::string& vault) {
    rec::RunRecord run = NewRunOf("verify");
    run.mutable_run()->set_backup_id("db/3");
    run.mutable_run()->set_vault(vault);
    run.set_sample_percent(percent);
    const std::string id = Begin(run);
    EXPECT_EQ(OrderOf(id).verify().sample_percent(), percent);
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    update.mutable_verify()->set_files_skipped(percent > 0 ? 90 : 0);
    Answer(id, update);
  };
  verify(10, "usb");
  EXPECT_EQ(Of("db/3").copies_verified(0).level(), "L2 sampled");
  verify(0, "usb");
  verify(10, "usb");
  EXPECT_EQ(Of("db/3").copies_verified(0).level(), "L2");
  EXPECT_EQ(Of("db/3").verified_level(), "");
  verify(10, "");
  EXPECT_EQ(Of("db/3").verified_level(), "L2 sampled");
  EXPECT_THAT(Events("verify.ok").back(), HasSubstr("90 files were not read"));
  Change("db/3", [](rec::BackupRecord& record) { record.set_restore_failed(true); });
  verify(10, "");
  EXPECT_TRUE(RecordOf("db/3").restore_failed()) << "a sample makes nothing good again";
  verify(0, "");
  EXPECT_FALSE(RecordOf("db/3").restore_failed());
  EXPECT_EQ(Of("db/3").verified_level(), "L2");
}

TEST_F(Replicas, NothingIsTriedWhileEitherSideIsAway) {
  SetNode("nas1", v1::NodeState::UNREACHABLE);
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
  SetNode("nas1", v1::NodeState::ALIVE);
  SetNode("nas2", v1::NodeState::DEAD);
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
}

TEST_F(Replicas, ACopyIsReadWhenTheVaultIsAway) {
  Done(Begin(AskJob(Replicate())), Copied({"db/3"}));
  EXPECT_EQ(Nearest("db/3")->name(), "nas");
  SetNode("nas1", v1::NodeState::DEAD);
  EXPECT_EQ(Nearest("db/3")->name(), "usb");
  EXPECT_THAT(Nearest("db/2"), HasCode(Code::kUnavailable));
}

TEST_F(Replicas, WhatCouldNotBeCopiedFailsTheRunAndTheRestCounts) {
  v1::VaultResult result = Copied({"db/1"});
  result.add_problems("backup db/2 is not copied: records are damaged");
  const std::string run = Begin(AskJob(Replicate()));
  Done(run, result);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(Run(run).error(), HasSubstr("db/2 is not copied"));
  EXPECT_THAT(Of("db/1").vaults(), ElementsAre("nas", "usb"));
}

TEST_F(Replicas, ACopyOutlivesTheDeletionOfItsOriginal) {
  Done(Begin(AskJob(Replicate())), Copied({"db/1"}));
  Done(Begin(AskDelete("db/1")));
  EXPECT_TRUE(Of("db/1").trashed());
  const std::string collection = Begin(AskJob(Job("gc")));
  Done(collection, Copied({"db/1"}));
  ASSERT_TRUE(Exists("db/1"));
  EXPECT_FALSE(Of("db/1").trashed());
  EXPECT_THAT(Of("db/1").vaults(), ElementsAre("usb"));
  EXPECT_EQ(RecordOf("db/1").vault(), "usb");
  EXPECT_THAT(Events("backup.purged"), ElementsAre(HasSubstr("its copy in vault 'usb' stays")));
}

TEST_F(Replicas, ADamagedCopyIsSaidAndTheBackupStaysGood) {
  Done(Begin(AskJob(Replicate())), Copied({"db/3"}));
  v1::VaultJobRequest check = Job("check");
  check.set_vault("usb");
  v1::VaultResult damage;
  damage.set_records_damaged(1);
  damage.add_damaged_backups("db/3");
  Done(Begin(AskJob(check)), damage);
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
  EXPECT_THAT(Of("db/3").vaults(), ElementsAre("nas")) << "a damaged copy is none";
  EXPECT_THAT(Events("backup.copy_damaged"), ElementsAre(HasSubstr("vault check usb --from nas")));
}

TEST_F(Replicas, HealingNamesTheOtherVault) {
  v1::VaultJobRequest heal = Job("check");
  heal.set_from("usb");
  EXPECT_THAT(AskJob(heal), HasCode(Code::kInvalidArgument)) << "it needs the whole check";
  heal.set_read_data(true);
  heal.set_repair(true);
  const std::string run = Begin(AskJob(heal));
  EXPECT_EQ(OrderOf(run).vault().check().other().name(), "usb");
  EXPECT_EQ(OrderOf(run).vault().check().other().node(), "nas2");
  heal.set_from("nas");
  EXPECT_THAT(AskJob(heal), HasCode(Code::kInvalidArgument)) << "not from itself";
  heal.set_from("tape");
  EXPECT_THAT(AskJob(heal), HasCode(Code::kNotFound));
  v1::VaultJobRequest nowhere = Replicate();
  nowhere.clear_from();
  EXPECT_THAT(AskJob(nowhere), HasCode(Code::kInvalidArgument));
}

TEST_F(Replicas, AnotherDiskInAVaultsPlaceHasNoBackups) {
  for (const char* id : {"db/1", "db/2", "db/3"})
    Change(id, [](rec::BackupRecord& record) { record.set_vault_id("nas disk"); });
  Done(Begin(AskJob(Replicate())), Copied({"db/2"}));
  em_.board.nodes["nas1"].vaults["nas"].set_vault_id("a new disk");
  EXPECT_THAT(Good(), ElementsAre("db/2")) << "the one that has a copy";
  EXPECT_EQ(Nearest("db/2")->name(), "usb");
  v1::VaultJobRequest back = Replicate();
  back.set_vault("nas");
  back.set_from("usb");
  Done(Begin(AskJob(back)), Copied({"db/2"}));
  EXPECT_EQ(Nearest("db/2")->name(), "nas");
  em_.board.nodes["nas1"].vaults["nas"].set_vault_id("nas disk");
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1")) << "the old one is back";
}

TEST_F(Replicas, TheLastReplicationIsRemembered) {
  Done(Begin(AskJob(Replicate())), Copied({"db/1", "db/2"}));
  EXPECT_EQ(UsbRecord().last_replication().outcome(), v1::Outcome::OK);
  EXPECT_EQ(UsbRecord().last_replication().backups_copied(), 2);
}

}  // namespace
}  // namespace ember::controller
