// What an operator may ask of the controller, and what is refused.
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/recover/saga.h"
#include "controller/service/services.h"
#include "controller/tick.h"
#include "ember/v1/control.grpc.pb.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using State = v1::WorkloadState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The services behind a channel of this process: each handler takes the lock itself.
class Operator : public EmFixture {
 protected:
  Operator() { Serve(); }
  void SetUp() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AddNode("n1");
    rec::EstateRecord estate;
    v1::WorkloadSpec* spec = estate.mutable_estate()->add_workloads();
    spec->set_name("db");
    spec->set_node("n1");
    rec::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    workload.set_epoch(7);
    workload.set_state(State::RUNNING);
    Put(estate);
    Put(workload);
  }
  void Serve() {
    em_->advertise = "em:7443";
    fleet_service_ = controller::NewFleetService(em_.get());
    recovery_service_ = controller::NewRecoveryService(em_.get());
    protection_service_ = controller::NewProtectionService(em_.get());
    estate_service_ = controller::NewEstateService(em_.get());
    grpc::ServerBuilder builder;
    builder.RegisterService(estate_service_.get());
    builder.RegisterService(fleet_service_.get());
    builder.RegisterService(recovery_service_.get());
    builder.RegisterService(protection_service_.get());
    server_ = builder.BuildAndStart();
    const auto channel = server_->InProcessChannel({});
    estate_ = v1::EstateService::NewStub(channel);
    fleet_ = v1::FleetService::NewStub(channel);
    recovery_ = v1::RecoveryService::NewStub(channel);
    protection_ = v1::ProtectionService::NewStub(channel);
  }

  template <typename Stub, typename Request, typename Reply>
  absl::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, Reply* reply) {
    grpc::ClientContext context;
    return rpc::FromGrpc((stub.*method)(&context, request, reply));
  }
  absl::Status Apply(const std::string& text) {
    v1::ApplyRequest request;
    request.set_text(text);
    request.set_confirmed(true);
    v1::ApplyReply reply;
    return Call(*estate_, &v1::EstateService::Stub::Apply, request, &reply);
  }
  absl::Status RestartWorkload(const std::string& name) {
    v1::RestartWorkloadRequest request;
    request.set_name(name);
    return Call(*fleet_, &v1::FleetService::Stub::RestartWorkload, request, &workload_);
  }
  absl::Status Hold(const std::string& name, bool hold) {
    v1::HoldWorkloadRequest request;
    request.set_name(name);
    request.set_hold(hold);
    return Call(*fleet_, &v1::FleetService::Stub::HoldWorkload, request, &workload_);
  }
  absl::Status Maintain(const std::string& name, bool on, int64_t seconds) {
    v1::SetMaintenanceRequest request;
    request.set_name(name);
    request.set_on(on);
    request.set_for_seconds(seconds);
    return Call(*fleet_, &v1::FleetService::Stub::SetMaintenance, request, &node_);
  }
  absl::Status Restore(const std::string& backup, bool confirmed) {
    v1::RestoreRequest request;
    request.set_backup(backup);
    request.set_confirmed(confirmed);
    return Call(*protection_, &v1::ProtectionService::Stub::Restore, request, &run_);
  }
  absl::Status Steer(grpc::Status (v1::RecoveryService::Stub::*method)(
                         grpc::ClientContext*, const v1::GetRecoveryRequest&, v1::Recovery*),
                     const std::string& id) {
    v1::GetRecoveryRequest request;
    request.set_id(id);
    return Call(*recovery_, method, request, &shown_);
  }
  absl::Status Approve(const std::string& id) {
    return Steer(&v1::RecoveryService::Stub::ApproveRecovery, id);
  }
  absl::Status Cancel(const std::string& id) {
    return Steer(&v1::RecoveryService::Stub::CancelRecovery, id);
  }

  void Put(const controller::Record& record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(record);
    ASSERT_OK(em_->Commit(batch));
  }
  rec::WorkloadRecord Workload() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->workloads().at("db");
  }
  void SetState(State::Value state) {
    rec::WorkloadRecord workload = Workload();
    workload.set_state(state);
    workload.set_flap_penalty(5000);
    Put(workload);
  }
  void AddBackup(const std::string& id, v1::Outcome::Value outcome) {
    rec::BackupRecord backup;
    backup.mutable_backup()->set_id(id);
    backup.mutable_backup()->set_workload("db");
    backup.mutable_backup()->set_outcome(outcome);
    Put(backup);
  }
  // Recovery "r-1" of db, with an order under way.
  void AddRecovery(v1::RecoveryState::Value state) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::RecoveryRecord recovery =
        controller::NewRecovery("r-1", em_->catalog->estate().estate().workloads(0), Workload(),
                                "gone", clock_.Now(), clock_.Now(), false);
    recovery.mutable_recovery()->set_state(state);
    recovery.set_order_id("r-1/db/start/1");
    rec::OrderRecord order;
    order.mutable_order()->set_id("r-1/db/start/1");
    order.mutable_order()->set_workload("db");
    order.mutable_order()->mutable_start();
    order.set_node("n1");
    Put(recovery);
    Put(order);
  }
  v1::Recovery Recovery() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->recoveries().at("r-1").recovery();
  }
  std::vector<v1::Order> Orders() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<v1::Order> orders;
    for (const auto& [id, order] : em_->catalog->orders()) orders.push_back(order.order());
    return orders;
  }
  uint64_t Generation() ABSL_NO_THREAD_SAFETY_ANALYSIS { return em_->catalog->generation(); }
  int Events(const std::string& type) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    int count = 0;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
      count += event.event().type() == type ? 1 : 0;
      return true;
    }));
    return count;
  }

  std::unique_ptr<grpc::Service> estate_service_, fleet_service_, recovery_service_,
      protection_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::EstateService::Stub> estate_;
  std::unique_ptr<v1::FleetService::Stub> fleet_;
  std::unique_ptr<v1::RecoveryService::Stub> recovery_;
  std::unique_ptr<v1::ProtectionService::Stub> protection_;
  v1::Workload workload_;
  v1::Node node_;
  v1::Recovery shown_;
  v1::Run run_;
};

TEST_F(Operator, WhatIsUnknownIsNotFoundAndNothingChanges) {
  const uint64_t before = Generation();
  v1::BeatRequest beat;
  beat.set_workload("nobody");
  v1::BeatReply beaten;
  v1::RemoveNodeRequest remove;
  remove.set_name("nobody");
  v1::PlanRecoveryRequest plan;
  plan.set_subject("nobody");
  v1::PlanRecoveryReply planned;
  const std::pair<const char*, absl::Status> answers[] = {
      {"restart", RestartWorkload("nobody")},
      {"hold", Hold("nobody", true)},
      {"release", Hold("nobody", false)},
      {"maintenance", Maintain("nobody", true, 0)},
      {"remove", Call(*fleet_, &v1::FleetService::Stub::RemoveNode, remove, &node_)},
      {"beat", Call(*fleet_, &v1::FleetService::Stub::Beat, beat, &beaten)},
      {"restore", Restore("nobody/20260101-000000", true)},
      {"approve", Approve("r-9")},
      {"cancel", Cancel("r-9")},
      {"plan", Call(*recovery_, &v1::RecoveryService::Stub::PlanRecovery, plan, &planned)},
  };
  for (const auto& [what, status] : answers) EXPECT_THAT(status, HasCode(Code::kNotFound)) << what;
  EXPECT_EQ(Generation(), before);
  EXPECT_THAT(Orders(), IsEmpty());
}

TEST_F(Operator, RestartStartsWhatWasGivenUp) {
  for (const State::Value state : {State::ESCALATED, State::QUARANTINED}) {
    SetState(state);
    ASSERT_OK(RestartWorkload("db"));
    EXPECT_EQ(Workload().state(), State::STARTING);
    EXPECT_EQ(Workload().flap_penalty(), 0);
  }
  ASSERT_THAT(Orders(), ::testing::Not(IsEmpty()));
  EXPECT_TRUE(Orders()[0].start().fresh());
  EXPECT_EQ(Orders()[0].epoch(), 7u);
  EXPECT_EQ(Events("workload.restart"), 2);
}

TEST_F(Operator, RestartReleasesWhatWasHeld) {
  ASSERT_OK(Hold("db", true));
  EXPECT_TRUE(Workload().held());
  ASSERT_OK(RestartWorkload("db"));
  EXPECT_FALSE(Workload().held());
}

TEST_F(Operator, RestartIsRefusedWhileARecoveryIsUnderWay) {
  AddRecovery(v1::RecoveryState::RESTORING);
  const uint64_t before = Generation();
  EXPECT_THAT(RestartWorkload("db"), HasCodeAndText(Code::kFailedPrecondition, "being recovered"));
  EXPECT_EQ(Generation(), before);
}

// A recovery would start it all the same, perhaps elsewhere.
TEST_F(Operator, HoldIsRefusedWhileARecoveryIsUnderWay) {
  AddRecovery(v1::RecoveryState::FENCING);
  const absl::Status refused = Hold("db", true);
  EXPECT_THAT(refused, HasCodeAndText(Code::kFailedPrecondition, "being recovered by r-1"));
  EXPECT_THAT(HintOf(refused), HasSubstr("ember recovery cancel r-1"));
  EXPECT_FALSE(Workload().held());
  EXPECT_OK(Hold("db", false));
}

TEST_F(Operator, WhileARecoveryIsOpenDataAreLookedAtAndNotReplaced) {
  AddBackup("db/20260101-000000", v1::Outcome::OK);
  AddRecovery(v1::RecoveryState::APPROVAL);
  EXPECT_THAT(Restore("db/20260101-000000", true),
              HasCodeAndText(Code::kFailedPrecondition, "being recovered by r-1"));
  v1::RestoreRequest comparison;
  comparison.set_backup("db/20260101-000000");
  comparison.set_dry_run(true);
  EXPECT_OK(Call(*protection_, &v1::ProtectionService::Stub::Restore, comparison, &run_));
}

constexpr char kEstate[] = "workloads: [{name: db, node: n1}]\n";

// Agents and vaults remember the epochs of what is gone.
TEST_F(Operator, AWorkloadThatComesBackBeginsAboveItsOldEpoch) {
  ASSERT_OK(Apply("workloads: []\n"));
  ASSERT_OK(Apply(kEstate));
  EXPECT_GT(Workload().epoch(), 7u);
}

TEST_F(Operator, ShorterTimesCountWhenTheOldLeasesAreOver) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::string slow = absl::StrCat(kEstate, "settings: {lease: 60s, dead_after: 90s}\n");
  ASSERT_OK(Apply(slow));
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(controller::PolicyOf(*em_).dead_after, absl::Seconds(90));
  ASSERT_OK(Apply(kEstate));
  EXPECT_EQ(controller::PolicyOf(*em_).lease, absl::Seconds(kLeaseSeconds));
  EXPECT_EQ(controller::PolicyOf(*em_).dead_after, absl::Seconds(90));
  Restart();
  clock_.Advance(absl::Seconds(89));
  EXPECT_EQ(controller::PolicyOf(*em_).dead_after, absl::Seconds(90));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(controller::PolicyOf(*em_).dead_after, absl::Seconds(kDeadSeconds));
}

TEST_F(Operator, AMoveEndsTheRecoveryAtTheOldPlace) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddNode("n2");
  AddRecovery(v1::RecoveryState::PLANNED);
  rec::WorkloadRecord workload = Workload();
  workload.set_held(true);
  Put(workload);
  ASSERT_OK(Apply("workloads: [{name: db, node: n2}]\n"));
  EXPECT_EQ(Recovery().state(), v1::RecoveryState::CANCELLED);
  EXPECT_EQ(Workload().node(), "n2");
  EXPECT_EQ(Workload().epoch(), 8u);
}

TEST_F(Operator, ReleaseLetsAGivenUpOneBeTriedAgain) {
  SetState(State::ESCALATED);
  ASSERT_OK(Hold("db", true));
  EXPECT_EQ(Workload().state(), State::ESCALATED) << "held, it is still given up";
  ASSERT_OK(Hold("db", false));
  EXPECT_EQ(Workload().state(), State::STARTING);
  EXPECT_EQ(Events("workload.held"), 1);
  EXPECT_EQ(Events("workload.released"), 1);
}

TEST_F(Operator, MaintenanceEndsAtItsTimeOrWhenItIsSwitchedOff) {
  ASSERT_OK(Maintain("n1", true, 7200));
  EXPECT_TRUE(node_.maintenance());
  EXPECT_EQ(rpc::FromTimestamp(node_.maintenance_until()), clock_.Now() + absl::Hours(2));
  ASSERT_OK(Maintain("n1", true, 0));
  EXPECT_FALSE(node_.has_maintenance_until()) << "without a time it lasts";
  ASSERT_OK(Maintain("n1", false, 0));
  EXPECT_FALSE(node_.maintenance());
  EXPECT_EQ(Events("node.maintenance"), 3);
}

TEST_F(Operator, MaintenanceOfTheWholeEstateIsShownAndEndsByItself) {
  v1::SetMaintenanceRequest request;
  request.set_on(true);
  request.set_for_seconds(3600);
  v1::Em em;
  const auto method = &v1::FleetService::Stub::SetEstateMaintenance;
  ASSERT_OK(Call(*fleet_, method, request, &em));
  EXPECT_TRUE(em.maintenance());
  EXPECT_EQ(rpc::FromTimestamp(em.maintenance_until()), clock_.Now() + absl::Hours(1));
  v1::StatusReply status;
  ASSERT_OK(Call(*estate_, &v1::EstateService::Stub::Status, v1::StatusRequest(), &status));
  EXPECT_TRUE(status.em().maintenance());
  clock_.Advance(absl::Hours(1));
  ASSERT_OK(controller::Tick(*em_));
  ASSERT_OK(Call(*estate_, &v1::EstateService::Stub::Status, v1::StatusRequest(), &status));
  EXPECT_FALSE(status.em().maintenance());
  request.set_on(false);
  ASSERT_OK(Call(*fleet_, method, request, &em));
  EXPECT_FALSE(em.maintenance());
  EXPECT_EQ(Events("estate.maintenance"), 3);
}

TEST_F(Operator, AnInPlaceRestoreNeedsAConfirmation) {
  AddBackup("db/20260101-000000", v1::Outcome::OK);
  EXPECT_THAT(Restore("db/20260101-000000", false), HasCode(Code::kFailedPrecondition));
  EXPECT_EQ(run_.id(), "");
  ASSERT_OK(Restore("db/20260101-000000", true));
  EXPECT_EQ(run_.kind(), "restore");
  EXPECT_EQ(run_.outcome(), v1::Outcome::PENDING);
}

TEST_F(Operator, AFailedBackupIsNotRestored) {
  AddBackup("db/20260101-000000", v1::Outcome::FAILED);
  EXPECT_THAT(Restore("db/20260101-000000", true),
              HasCodeAndText(Code::kFailedPrecondition, "nothing to restore"));
}

TEST_F(Operator, OnlyWhatWaitsForApprovalIsApproved) {
  for (const auto state : {v1::RecoveryState::DETECTED, v1::RecoveryState::RESTORING,
                           v1::RecoveryState::DONE, v1::RecoveryState::ESCALATED}) {
    AddRecovery(state);
    EXPECT_THAT(Approve("r-1"), HasCodeAndText(Code::kFailedPrecondition, "does not wait"));
    EXPECT_EQ(Recovery().state(), state);
  }
  AddRecovery(v1::RecoveryState::APPROVAL);
  ASSERT_OK(Approve("r-1"));
  EXPECT_EQ(Events("recovery.approved"), 1);
}

TEST_F(Operator, WhatHasEndedIsNotCancelled) {
  for (const auto state :
       {v1::RecoveryState::DONE, v1::RecoveryState::ESCALATED, v1::RecoveryState::CANCELLED}) {
    AddRecovery(state);
    EXPECT_THAT(Cancel("r-1"), HasCodeAndText(Code::kFailedPrecondition, "has ended already"));
    EXPECT_FALSE(Workload().held());
  }
}

TEST_F(Operator, CancelTakesTheOrderBackAndHoldsTheWorkload) {
  AddRecovery(v1::RecoveryState::STARTING);
  ASSERT_OK(Cancel("r-1"));
  EXPECT_EQ(Recovery().state(), v1::RecoveryState::CANCELLED);
  EXPECT_THAT(Orders(), IsEmpty());
  EXPECT_TRUE(Workload().held());
  EXPECT_EQ(shown_.next_command(), "ember workload release db");
  ASSERT_OK(Steer(&v1::RecoveryService::Stub::GetRecovery, "r-1"));
  EXPECT_EQ(shown_.state(), v1::RecoveryState::CANCELLED);
}

TEST_F(Operator, ANameIsGivenOnceAlsoWhileItsBackupWaits) {
  v1::RunBackupRequest request;
  request.set_workload("db");
  request.set_name("before-upgrade");
  v1::Run run;
  const auto ask = [&] {
    return Call(*protection_, &v1::ProtectionService::Stub::RunBackup, request, &run);
  };
  ASSERT_OK(ask());
  EXPECT_THAT(ask(), HasCodeAndText(Code::kFailedPrecondition, "is about to be made"));
  request.set_name("another");
  EXPECT_OK(ask());
}

TEST_F(Operator, AFullDiskIsSaidAndChangesNothing) {
  AddBackup("db/20260101-000000", v1::Outcome::OK);
  const auto expect_refused = [this](const std::vector<std::function<absl::Status()>>& wishes) {
    disk_.full = true;
    const uint64_t before = Generation();
    for (const auto& wish : wishes) EXPECT_THAT(wish(), HasCode(Code::kResourceExhausted));
    EXPECT_EQ(Generation(), before);
    disk_.full = false;
  };
  expect_refused({[&] { return Hold("db", true); }, [&] { return Maintain("n1", true, 0); },
                  [&] { return Restore("db/20260101-000000", true); },
                  [&] { return Apply("workloads: []\n"); }});
  AddRecovery(v1::RecoveryState::APPROVAL);
  expect_refused({[&] { return Approve("r-1"); }, [&] { return Cancel("r-1"); }});
  EXPECT_FALSE(Workload().held());
}

}  // namespace
}  // namespace ember::testing
