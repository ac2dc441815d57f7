// What `ember recovery plan` promises must be what a recovery would do.
#include "common/rpc/convert.h"
#include "controller/recover/recoveries.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::HasSubstr;

class Preview : public EmFixture {
 protected:
  // db on host1 with a backup of two hours ago on nas, and web, which needs it.
  Preview() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const char* node : {"host1", "host2", "nas"}) AddNode(node);
    em_->board.nodes["nas"].address = "10.0.0.1:7444";
    v1::VaultSpec* vault = estate_.add_vaults();
    vault->set_name("main");
    vault->set_node("nas");
    v1::WorkloadSpec* db = AddWorkload("db");
    db->add_sources()->mutable_files()->add_paths("/srv/db");
    AddWorkload("web")->add_depends_on("db");
    rec::BackupRecord backup;
    backup.mutable_backup()->set_id("db/20260101-000000");
    backup.mutable_backup()->set_workload("db");
    backup.mutable_backup()->set_outcome(v1::Outcome::OK);
    backup.mutable_backup()->set_verified(true);
    *backup.mutable_backup()->mutable_created() = rpc::ToTimestamp(clock_.Now() - absl::Hours(2));
    backup.set_vault("main");
    Put(backup);
    Store();
  }
  v1::WorkloadSpec* AddWorkload(const std::string& name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::WorkloadSpec* spec = estate_.add_workloads();
    spec->set_name(name);
    spec->set_node("host1");
    spec->mutable_recovery()->add_standby("host2");
    rec::WorkloadRecord workload;
    workload.set_name(name);
    workload.set_node("host1");
    workload.set_epoch(1);
    workload.set_self_fences(true);
    workload.set_state(v1::WorkloadState::RUNNING);
    Put(workload);
    return spec;
  }
  void Put(const controller::Record& record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(record);
    ASSERT_OK(em_->Commit(batch));
  }
  void Store() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate;
    *estate.mutable_estate() = estate_;
    Put(estate);
  }
  std::vector<v1::PlanStep> Plan(const std::string& subject) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto reply = controller::PreviewRecovery(*em_, subject);
    EXPECT_OK(reply);
    if (!reply.ok()) return {};
    return {reply->items().begin(), reply->items().end()};
  }
  // Of db, when host1 dies.
  v1::PlanStep StepOfDb() {
    const std::vector<v1::PlanStep> steps = Plan("host1");
    EXPECT_EQ(steps.size(), 2u);
    return steps.empty() ? v1::PlanStep() : steps[0];
  }
  v1::RecoverySpec* policy() { return estate_.mutable_workloads(0)->mutable_recovery(); }

  v1::Estate estate_;
};

TEST_F(Preview, ADeadNodesWorkloadsMoveInTheOrderOfWhatTheyNeed) {
  const std::vector<v1::PlanStep> steps = Plan("host1");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].workload(), "db");
  EXPECT_EQ(steps[0].wave(), 1);
  EXPECT_EQ(steps[0].action(), "restore on standby");
  EXPECT_EQ(steps[0].target(), "host2");
  EXPECT_EQ(steps[0].backup_id(), "db/20260101-000000");
  EXPECT_EQ(steps[0].data_loss_seconds(), 7200);
  EXPECT_EQ(steps[0].reason(), "");
  EXPECT_EQ(steps[1].workload(), "web");
  EXPECT_EQ(steps[1].wave(), 2);
  EXPECT_EQ(steps[1].action(), "start on standby");
}

TEST_F(Preview, AWorkloadThatDiesAloneIsBegunInPlace) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  em_->board.nodes["host1"].workloads["db"].fact.set_epoch(1);
  const std::vector<v1::PlanStep> steps = Plan("db");
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].action(), "restart in place");
  EXPECT_EQ(steps[0].target(), "host1");
}

TEST_F(Preview, WhoMustBeWithAnotherGoesWhereThatGoes) {
  v1::RecoverySpec* web = estate_.mutable_workloads(1)->mutable_recovery();
  web->clear_standby();
  web->add_standby("nas");
  web->add_standby("host2");
  web->add_with("db");
  Store();
  const std::vector<v1::PlanStep> steps = Plan("host1");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[1].action(), "start on standby");
  EXPECT_EQ(steps[1].target(), "host2");
}

TEST_F(Preview, WhereAPersonIsAskedThePlanSaysSoAndWhy) {
  policy()->set_max_auto_rpo_seconds(3600);
  Store();
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("after approval"));
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("max_auto_rpo"));
  policy()->set_mode(v1::RecoverySpec::APPROVE);
  Store();
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("'approve'"));
}

TEST_F(Preview, WhereNothingWouldBeDoneThePlanSaysWhy) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  policy()->set_mode(v1::RecoverySpec::MANUAL);
  Store();
  EXPECT_EQ(StepOfDb().action(), "nothing");
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("'manual'"));
  policy()->set_mode(v1::RecoverySpec::AUTOMATIC);
  Store();
  rec::FreezeRecord freeze;
  freeze.set_maintenance(true);
  Put(freeze);
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("the estate is in maintenance"));
  freeze.set_maintenance(false);
  freeze.set_frozen(true);
  Put(freeze);
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("frozen"));
  freeze.set_frozen(false);
  Put(freeze);
  rec::NodeRecord node = em_->catalog->nodes().at("host1");
  node.set_maintenance(true);
  Put(node);
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("host1 is in maintenance"));
}

TEST_F(Preview, AFenceCommandTakesThePlaceOfAPersonsWord) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  rec::WorkloadRecord db = em_->catalog->workloads().at("db");
  db.set_self_fences(false);
  Put(db);
  EXPECT_THAT(StepOfDb().reason(), HasSubstr("sure that host1"));
  v1::NodeSpec* node = estate_.add_nodes();
  node->set_name("host1");
  node->mutable_fence()->add_command("/usr/local/bin/off");
  node->mutable_fence()->add_from("nas");
  Store();
  EXPECT_EQ(StepOfDb().reason(), "once the fence command of host1 says that it is off");
}

TEST_F(Preview, OfWhatIsNotKnownThereIsNoPlan) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  EXPECT_THAT(controller::PreviewRecovery(*em_, "nobody"), HasCode(Code::kNotFound));
}

}  // namespace
}  // namespace ember::testing
