// From what an agent says to a workload's state, and to what a person is told.
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/fleet/beats.h"
#include "controller/fleet/told.h"
#include "controller/recover/recoveries.h"
#include "controller/recover/recovery_view.h"
#include "controller/service/views.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using State = v1::WorkloadState;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Workloads : public EmFixture {
 protected:
  Workloads() { AddNode("n1"); }
  void Declare(v1::RecoverySpec::Mode mode,
               int64_t heartbeat_millis = 0) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate;
    v1::WorkloadSpec* spec = estate.mutable_estate()->add_workloads();
    spec->set_name("db");
    spec->set_node("n1");
    spec->mutable_recovery()->set_mode(mode);
    spec->mutable_health()->set_failures(3);
    if (heartbeat_millis > 0) spec->mutable_health()->set_heartbeat_millis(heartbeat_millis);
    rec::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    workload.set_epoch(1);
    workload.set_state(State::RUNNING);
    controller::Batch batch;
    batch.Put(estate);
    batch.Put(workload);
    ASSERT_OK(em_->Commit(batch));
    fact_.set_workload("db");
    fact_.set_epoch(1);
    Up(100);
  }
  void Up(int64_t pid) {
    fact_.set_running(true);
    fact_.set_probed(true);
    fact_.set_healthy(true);
    fact_.set_consecutive_failures(0);
    fact_.clear_has_exit();
    fact_.clear_probe_message();
    fact_.clear_log_tail();
    fact_.set_pid(pid);
  }
  void Down() {
    fact_.set_running(false);
    fact_.set_healthy(false);
    fact_.set_consecutive_failures(3);
    fact_.set_has_exit(true);
    fact_.set_exit_status(3);
    fact_.set_probe_message("not running");
    fact_.add_log_tail("no such table");
  }
  void Report() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::HeartbeatRequest request;
    request.set_node("n1");
    request.set_boot_id(boot_);
    *request.mutable_sent_at() = rpc::ToTimestamp(clock_.Now());
    *request.add_workloads() = fact_;
    ASSERT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", request));
    ASSERT_OK(controller::UpdateWorkloads(*em_));
  }
  void ApplicationBeats() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    em_->board.application_beats["db"] = clock_.Monotonic();
  }
  controller::Health Health() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return controller::JudgeNow(*em_, em_->catalog->estate().estate().workloads(0), Record())
        .health;
  }
  // "db" has data, and its one good backup is in a vault on "nas".
  void BackUp() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AddNode("nas");
    em_->board.nodes["nas"].address = "nas:7444";
    rec::EstateRecord estate = em_->catalog->estate();
    estate.mutable_estate()->mutable_workloads(0)->add_sources()->mutable_files()->add_paths("/db");
    v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
    vault->set_name("main");
    vault->set_node("nas");
    rec::BackupRecord backup;
    backup.mutable_backup()->set_id("db/1");
    backup.mutable_backup()->set_workload("db");
    backup.mutable_backup()->set_outcome(v1::Outcome::OK);
    backup.mutable_backup()->set_verified(true);
    backup.mutable_backup()->set_files(10);
    *backup.mutable_backup()->mutable_created() = rpc::ToTimestamp(clock_.Now());
    *backup.mutable_vault_received() = rpc::ToTimestamp(clock_.Now());
    backup.set_vault("main");
    controller::Batch batch;
    batch.Put(estate);
    batch.Put(backup);
    ASSERT_OK(em_->Commit(batch));
  }
  void SetNode(const std::string& name, v1::NodeState::Value state) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::NodeRecord node = em_->catalog->nodes().at(name);
    node.set_state(state);
    controller::Batch batch;
    batch.Put(node);
    ASSERT_OK(em_->Commit(batch));
  }
  // Some ticks without the judging of nodes.
  void Advance() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (int i = 0; i < 5; ++i) {
      clock_.Advance(absl::Seconds(1));
      ASSERT_OK(controller::UpdateWorkloads(*em_));
      ASSERT_OK(controller::AdvanceRecoveries(*em_));
    }
  }
  const rec::WorkloadRecord& Record() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->workloads().at("db");
  }
  void SetState(State::Value state) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::WorkloadRecord record = Record();
    record.set_state(state);
    controller::Batch batch;
    batch.Put(record);
    ASSERT_OK(em_->Commit(batch));
  }
  std::vector<v1::Recovery> Recoveries() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<v1::Recovery> all;
    for (const auto& [id, recovery] : em_->catalog->recoveries())
      all.push_back(recovery.recovery());
    return all;
  }
  std::vector<std::string> Events(const std::string& type) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> messages;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
      if (event.event().type() == type) messages.push_back(event.event().message());
      return true;
    }));
    return messages;
  }

  v1::WorkloadFact fact_;
  std::string boot_ = "boot";
};

TEST_F(Workloads, ADeadManualOneIsEscalatedOnceWithEverythingAPersonNeeds)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::MANUAL);
  Report();
  EXPECT_THAT(Recoveries(), IsEmpty());
  Down();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Seconds(1));
    Report();
  }
  ASSERT_THAT(Recoveries(), SizeIs(1)) << "once per cause, not once per tick";
  const v1::Recovery recovery = Recoveries()[0];
  EXPECT_EQ(recovery.state(), v1::RecoveryState::ESCALATED);
  EXPECT_EQ(recovery.next_command(), "ember workload restart db");
  EXPECT_THAT(recovery.diagnostics(), Contains("exit status: 3"));
  EXPECT_THAT(recovery.diagnostics(), Contains("log: no such table"));
  EXPECT_THAT(recovery.diagnostics(), Contains("probes: 3 failed in a row: not running"));
  EXPECT_EQ(Record().state(), State::ESCALATED);
  EXPECT_THAT(Events("recovery.escalated"),
              ElementsAre("db: its recovery mode is 'manual'; 3 probes failed (exit status 3): not "
                          "running. Next: ember workload restart db"));

  const v1::StatusReply status = controller::StatusWire(*em_);
  ASSERT_EQ(status.recoveries_size(), 1);
  EXPECT_EQ(status.recoveries(0).id(), recovery.id());
  const v1::Workload& shown = status.workloads(0);
  EXPECT_EQ(shown.recovery(), recovery.id());
  EXPECT_EQ(shown.next_command(), recovery.next_command());
  EXPECT_THAT(shown.diagnostics(), Contains("exit status: 3"));
}

TEST_F(Workloads, WhatIsHealthyAgainWaitsForNobody) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::MANUAL);
  Down();
  Report();
  Up(101);
  Report();
  EXPECT_EQ(Record().state(), State::RUNNING);
  ASSERT_THAT(Recoveries(), SizeIs(1));
  EXPECT_EQ(Recoveries()[0].state(), v1::RecoveryState::ESCALATED);
  EXPECT_EQ(Recoveries()[0].next_command(), "");
  EXPECT_EQ(controller::StatusWire(*em_).recoveries_size(), 0);
  Down();
  Report();
  EXPECT_THAT(Recoveries(), SizeIs(2)) << "another death is another cause";
}

TEST_F(Workloads, FlappingIsEscalatedWithARecord) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC);
  for (int death = 1; death <= 4; ++death) {
    Down();
    Report();
    Up(100 + death);
    Report();
    if (death == 4) break;
    ASSERT_OK(controller::AdvanceRecoveries(*em_));
    SetState(State::RUNNING);
  }
  const std::vector<v1::Recovery> all = Recoveries();
  ASSERT_THAT(all, SizeIs(4));
  EXPECT_EQ(all[2].state(), v1::RecoveryState::DONE);
  EXPECT_EQ(all[3].state(), v1::RecoveryState::ESCALATED);
  EXPECT_THAT(all[3].message(), ::testing::HasSubstr("flapping"));
  EXPECT_THAT(all[3].diagnostics(), Contains("exit status: 3"));
}

TEST_F(Workloads, WhatFailedForWantOfItsVaultIsTriedAgainWhenThatIsBack)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC);
  BackUp();
  Report();
  SetNode("nas", v1::NodeState::DEAD);
  Down();
  fact_.set_data_missing(true);
  Report();
  Advance();
  ASSERT_THAT(Recoveries(), SizeIs(1)) << "not again and again while the vault is away";
  EXPECT_EQ(Recoveries()[0].state(), v1::RecoveryState::ESCALATED);
  EXPECT_THAT(Recoveries()[0].message(), ::testing::HasSubstr("on nas, which is not ALIVE"));
  EXPECT_EQ(Recoveries()[0].next_command(), "ember node show nas");
  SetNode("nas", v1::NodeState::ALIVE);
  Advance();
  ASSERT_THAT(Recoveries(), SizeIs(2));
  EXPECT_EQ(Recoveries()[1].state(), v1::RecoveryState::RESTORING);
  EXPECT_EQ(Recoveries()[0].next_command(), "") << "it waits for nobody any more";
}

TEST_F(Workloads, AWayThatFailedIsNotTriedOverAndOverForWantOfAVault)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC);
  BackUp();
  SetNode("nas", v1::NodeState::DEAD);
  Down();
  Report();
  Advance();
  ASSERT_THAT(Recoveries(), SizeIs(1));
  ASSERT_EQ(Recoveries()[0].state(), v1::RecoveryState::STARTING);
  rec::OrderRecord order = em_->catalog->orders().begin()->second;
  order.mutable_last_update()->set_order_id(order.order().id());
  order.mutable_last_update()->set_state(v1::OrderUpdate::FAILED);
  order.set_finished(true);
  controller::Batch batch;
  batch.Put(order);
  ASSERT_OK(em_->Commit(batch));
  Advance();
  ASSERT_THAT(Recoveries(), SizeIs(1));
  EXPECT_EQ(Recoveries()[0].state(), v1::RecoveryState::ESCALATED);
}

// What a silent node proves is what its agent was told, not what the estate says now.
TEST_F(Workloads, AStandbyCountsForTheFenceOnceTheAgentKnowsOfIt) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC);
  Report();
  rec::EstateRecord estate = em_->catalog->estate();
  // Three nodes, so that one that is cut off can be told.
  for (const char* node : {"n2", "n3"})
    estate.mutable_estate()->mutable_workloads(0)->mutable_recovery()->add_standby(node);
  controller::Batch batch;
  batch.Put(estate);
  ASSERT_OK(em_->Commit(batch));
  Advance();
  EXPECT_FALSE(Record().self_fences());
  ASSERT_OK(controller::RecordTold(*em_));
  EXPECT_FALSE(Record().self_fences());
  const uint64_t told = controller::ConfigFor(*em_, "n1").version();
  em_->board.nodes["n1"].config_version = told;
  ASSERT_OK(controller::RecordTold(*em_));
  EXPECT_TRUE(Record().self_fences());
  estate.mutable_estate()->mutable_workloads(0)->mutable_recovery()->clear_standby();
  controller::Batch without;
  without.Put(estate);
  ASSERT_OK(em_->Commit(without));
  Advance();
  EXPECT_FALSE(Record().self_fences()) << "it may have heard of this by now";
  v1::HeartbeatRequest beat;
  beat.set_config_version(told);
  EXPECT_TRUE(controller::ComposeReply(*em_, "n1", beat).has_config());
  controller::Batch again;
  estate.mutable_estate()->mutable_workloads(0)->mutable_recovery()->add_standby("n2");
  again.Put(estate);
  ASSERT_OK(em_->Commit(again));
  ASSERT_OK(controller::RecordTold(*em_));
  EXPECT_FALSE(Record().self_fences()) << "what it has stored is not what is in force there";
}

TEST_F(Workloads, ARestoredOneThatWaitsKeepsNobodyFromRestoring) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC);
  BackUp();
  controller::Batch batch;
  for (int i = 0; i < kRecoveriesAtOnce; ++i) {
    rec::RecoveryRecord other;
    other.mutable_recovery()->set_id(absl::StrCat("r-", 10 + i));
    other.mutable_recovery()->set_workload("other");
    other.mutable_recovery()->set_state(v1::RecoveryState::RESTORING);
    other.set_order_id("its restore");
    batch.Put(other);
  }
  ASSERT_OK(em_->Commit(batch));
  const v1::WorkloadSpec spec = em_->catalog->estate().estate().workloads(0);
  EXPECT_FALSE(controller::ViewFor(*em_, spec, {}).slot_free);
  rec::RecoveryRecord restored = em_->catalog->recoveries().at("r-10");
  restored.clear_order_id();
  controller::Batch done;
  done.Put(restored);
  ASSERT_OK(em_->Commit(done));
  EXPECT_TRUE(controller::ViewFor(*em_, spec, {}).slot_free);
}

TEST_F(Workloads, InMaintenanceNothingIsEscalated) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::MANUAL);
  rec::NodeRecord node = em_->catalog->nodes().at("n1");
  node.set_maintenance(true);
  controller::Batch batch;
  batch.Put(node);
  ASSERT_OK(em_->Commit(batch));
  Down();
  Report();
  EXPECT_THAT(Recoveries(), IsEmpty());
  EXPECT_EQ(Record().state(), State::DEAD);
  SetNode("n1", v1::NodeState::DEAD);
  EXPECT_EQ(controller::StatusWire(*em_).alarms_size(), 0) << "nobody need be told";
}

TEST_F(Workloads, OldRecoveriesMakeWayButTheirIdsAreNotGivenAgain) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::MANUAL);
  controller::Batch batch;
  for (size_t i = 1; i <= kEndedRecoveriesKept + 1; ++i) {
    rec::RecoveryRecord old;
    old.mutable_recovery()->set_id(absl::StrCat("r-", i));
    old.mutable_recovery()->set_state(v1::RecoveryState::DONE);
    *old.mutable_recovery()->mutable_ended() =
        rpc::ToTimestamp(clock_.Now() + absl::Seconds(static_cast<int64_t>(i)));
    batch.Put(old);
  }
  ASSERT_OK(em_->Commit(batch));
  Down();
  Report();
  const std::string id = absl::StrCat("r-", kEndedRecoveriesKept + 2);
  EXPECT_EQ(Record().last_recovery(), id);
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  EXPECT_LE(em_->catalog->recoveries().size(), kEndedRecoveriesKept);
  EXPECT_EQ(em_->catalog->recoveries().count("r-1"), 0u);
  EXPECT_EQ(em_->catalog->recoveries().count(id), 1u) << "the workload refers to it";
}

// 10 s, three misses: silent for more than 30 s is dead.
TEST_F(Workloads, AnOldBeatDoesNotCondemnWhatWasJustStarted) {
  Declare(v1::RecoverySpec::AUTOMATIC, 10000);
  Report();
  ApplicationBeats();
  fact_.set_running(false);
  fact_.set_held(true);
  Report();
  clock_.Advance(absl::Hours(1));  // held by a person, silent
  Up(101);
  fact_.set_held(false);
  Report();
  EXPECT_EQ(Health(), controller::Health::kStarting) << "released: its time starts now";
  clock_.Advance(absl::Seconds(29));
  Report();
  EXPECT_EQ(Health(), controller::Health::kStarting);
  ApplicationBeats();
  EXPECT_EQ(Health(), controller::Health::kHealthy);
  clock_.Advance(absl::Seconds(31));
  EXPECT_EQ(Health(), controller::Health::kDead);
}

TEST_F(Workloads, ABeatOfTheProcessBeforeIsNotOneOfThis) {
  Declare(v1::RecoverySpec::AUTOMATIC, 10000);
  Report();
  clock_.Advance(absl::Seconds(25));
  ApplicationBeats();
  clock_.Advance(absl::Seconds(1));
  Up(101);  // restarted in place between two reports
  Report();
  EXPECT_EQ(Health(), controller::Health::kStarting);
  clock_.Advance(absl::Seconds(31));
  EXPECT_EQ(Health(), controller::Health::kDead) << "it never beat since";
}

TEST_F(Workloads, ANewTermOrAgentTakesARunningOneOverAndWaitsForItsBeat)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Declare(v1::RecoverySpec::AUTOMATIC, 10000);
  Restart();
  Report();
  EXPECT_EQ(Health(), controller::Health::kHealthy);
  clock_.Advance(absl::Seconds(31));
  EXPECT_EQ(Health(), controller::Health::kDead);
  boot_ = "another";
  Report();
  EXPECT_NE(Health(), controller::Health::kDead) << "its agent's silence is not the application's";
}

TEST_F(Workloads, AWallClockThatJumpsCondemnsNobody) {
  Declare(v1::RecoverySpec::AUTOMATIC, 10000);
  Report();
  clock_.Advance(absl::Seconds(1));
  ApplicationBeats();
  clock_.JumpWall(absl::Hours(24));
  EXPECT_EQ(Health(), controller::Health::kHealthy);
}

}  // namespace
}  // namespace ember::testing
