#include "controller/recover/saga.h"

#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using State = v1::RecoveryState;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

BackupChoice Backup(const std::string& id, absl::Duration age) {
  BackupChoice backup;
  backup.id = id;
  backup.created = kNow - age;
  backup.vault.set_name("main");
  backup.vault.set_node("nas");
  backup.reachable = true;
  return backup;
}

// A database on host1 with a standby, whose data is gone, and two good backups.
struct Story {
  RecoveryView view;
  rec::RecoveryRecord recovery;

  Story() {
    view.now = kNow;
    view.spec.set_name("db");
    view.spec.set_node("host1");
    view.spec.add_sources()->mutable_files()->add_paths("/srv/db");
    view.spec.mutable_recovery()->add_standby("host2");
    view.workload.set_name("db");
    view.workload.set_node("host1");
    view.workload.set_epoch(1);
    view.nodes = {{"host1", v1::NodeState::ALIVE},
                  {"host2", v1::NodeState::ALIVE},
                  {"nas", v1::NodeState::ALIVE}};
    view.judgement = {Health::kDead, "data is missing"};
    view.fact.emplace();
    view.fact->set_epoch(1);
    view.fact->set_data_missing(true);
    view.backups = {Backup("db/new", absl::Hours(1)), Backup("db/old", absl::Hours(25))};
    recovery = NewRecovery("r-1", view.spec, view.workload, "data is missing",
                           kNow - absl::Seconds(3), kNow, false);
  }

  RecoveryStepResult Step() {
    RecoveryStepResult result = AdvanceRecovery(recovery, view);
    recovery = result.recovery;
    view.workload = result.workload;
    view.order_result.reset();
    return result;
  }
  // Until nothing changes any more or an order leaves.
  RecoveryStepResult Run() {
    RecoveryStepResult last;
    for (int i = 0; i < 20; ++i) {
      last = Step();
      if (!last.changed || last.order) break;
    }
    return last;
  }
  void Answer(bool ok, const std::string& error = "") {
    view.order_result.emplace();
    view.order_result->set_state(ok ? v1::OrderUpdate::DONE : v1::OrderUpdate::FAILED);
    view.order_result->set_error(error);
  }
  void Healthy() {
    view.judgement = {Health::kHealthy, ""};
    view.fact->set_data_missing(false);
    view.fact->set_epoch(view.workload.epoch());
  }
  State::Value state() const { return recovery.recovery().state(); }
};

TEST(Saga, MissingDataIsRestoredInPlaceStartedAndVerified) {
  Story story;
  RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order->restore().backup_id(), "db/new");
  EXPECT_EQ(step.order_node, "host1");
  EXPECT_EQ(story.state(), State::RESTORING);
  EXPECT_TRUE(story.view.workload.hold_recovery());
  story.Answer(true);
  step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_start());
  EXPECT_EQ(story.state(), State::STARTING);
  story.Answer(true);
  story.Run();
  EXPECT_EQ(story.state(), State::VERIFYING);
  story.Healthy();
  story.Run();
  EXPECT_EQ(story.state(), State::DONE);
  EXPECT_FALSE(story.view.workload.hold_recovery());
  EXPECT_EQ(story.view.workload.state(), v1::WorkloadState::RUNNING);
  EXPECT_DOUBLE_EQ(story.recovery.recovery().detect_seconds(), 3);
}

TEST(Saga, AHungProcessIsRestartedBeforeAnythingIsRestored) {
  Story story;
  story.view.fact->set_data_missing(false);
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_start());
  EXPECT_TRUE(step.order->start().fresh());
}

TEST(Saga, ExhaustedLocalRestartsGoStraightToARestore) {
  Story story;
  story.view.fact->set_data_missing(false);
  story.view.fact->set_restarts_exhausted(true);
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_restore());
}

TEST(Saga, ItWaitsForItsDependencyAndSaysSoOnce) {
  Story story;
  story.view.unmet_dependencies = {"disk"};
  story.Run();
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("waiting for disk"));
  EXPECT_FALSE(story.Step().changed);
  story.view.unmet_dependencies.clear();
  EXPECT_TRUE(story.Run().order.has_value());
}

TEST(Saga, WhatDiedIsHeldUntilItsDependencyIsVerifiedAndNotCalledHealthyBefore) {
  Story story;
  story.view.fact->set_data_missing(false);
  story.view.unmet_dependencies = {"disk"};
  EXPECT_TRUE(story.Step().changed);
  EXPECT_TRUE(story.view.workload.hold_recovery()) << "at once: its agent would start it";
  story.Healthy();
  story.Run();
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_TRUE(story.view.workload.hold_recovery());
  story.view.judgement = {Health::kStarting, ""};
  story.Run();
  EXPECT_TRUE(story.view.workload.hold_recovery()) << "held, it does not look dead any more";
  story.view.unmet_dependencies.clear();
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_start());
  EXPECT_FALSE(story.view.workload.hold_recovery());
}

// Whatever way it ends.
TEST(Saga, TheHoldForADependencyEndsWithTheRecovery) {
  Story healthy;
  healthy.view.unmet_dependencies = {"disk"};
  healthy.Run();
  Story given_up = healthy;
  ASSERT_TRUE(healthy.view.workload.hold_recovery());
  healthy.Healthy();
  healthy.view.unmet_dependencies.clear();
  healthy.Run();
  EXPECT_EQ(healthy.state(), State::DONE);
  EXPECT_FALSE(healthy.view.workload.hold_recovery());
  given_up.view.escalated_dependencies = {"disk"};
  given_up.Run();
  EXPECT_EQ(given_up.state(), State::ESCALATED);
  EXPECT_FALSE(given_up.view.workload.hold_recovery());
}

TEST(Saga, WhileAPersonIsAskedOrTheEstateIsFrozenItMayComeBackByItself) {
  Story story;
  story.view.unmet_dependencies = {"disk"};
  story.Run();
  ASSERT_TRUE(story.view.workload.hold_recovery());
  Story frozen = story;
  story.view.spec.mutable_recovery()->set_max_auto_rpo_seconds(1800);
  story.view.unmet_dependencies.clear();
  story.Run();
  EXPECT_EQ(story.state(), State::APPROVAL);
  EXPECT_FALSE(story.view.workload.hold_recovery());
  frozen.view.frozen = true;
  frozen.Run();
  EXPECT_EQ(frozen.state(), State::FROZEN);
  EXPECT_TRUE(frozen.view.workload.hold_recovery());
  frozen.view.unmet_dependencies.clear();
  frozen.Run();
  EXPECT_FALSE(frozen.view.workload.hold_recovery());
}

TEST(Saga, WhatIsHealthyAfterItsNodeWasSilentIsNotStoppedForItsDependency) {
  Story story;
  story.view.nodes["host1"] = v1::NodeState::UNREACHABLE;
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  story.view.unmet_dependencies = {"disk"};
  story.Run();
  ASSERT_EQ(story.state(), State::FENCING);
  story.view.nodes["host1"] = v1::NodeState::ALIVE;
  story.Healthy();
  story.Run();
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_FALSE(story.view.workload.hold_recovery());
  story.view.unmet_dependencies.clear();
  story.Run();
  EXPECT_EQ(story.state(), State::DONE);
}

TEST(Saga, WhatWasFencedWithItsNodeIsHeldForItsDependencyIfThatNodeComesBack) {
  Story story;
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  story.view.unmet_dependencies = {"disk"};
  story.Run();
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_TRUE(story.view.workload.hold_recovery());
}

TEST(Saga, AnEscalatedDependencyEscalatesTheDependant) {
  Story story;
  story.view.unmet_dependencies = story.view.escalated_dependencies = {"disk"};
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_TRUE(story.recovery.blocked_by_dependency());
}

TEST(Saga, ADeadNodeIsFencedByItsLeaseBeforeTheStandbyStarts) {
  Story story;
  story.view.nodes["host1"] = v1::NodeState::UNREACHABLE;
  story.view.fact.reset();
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::FENCING);
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order_node, "host2");
  EXPECT_EQ(step.order->epoch(), 2u);
  EXPECT_EQ(story.view.workload.node(), "host2");
  EXPECT_TRUE(story.recovery.fence_proven());
}

// What becomes of a workload of a removed node, by what is known about the fence.
TEST(Saga, OfARemovedNodeNothingWaitsForEver) {
  using Spec = v1::RecoverySpec;
  const struct {
    Spec::Class kind;
    Spec::Mode mode;
    bool proven;
    bool unprovable;
    State::Value want;
  } kTable[] = {
      {Spec::EXCLUSIVE, Spec::AUTOMATIC, false, false, State::FENCING},
      {Spec::EXCLUSIVE, Spec::AUTOMATIC, true, false, State::RESTORING},
      {Spec::EXCLUSIVE, Spec::AUTOMATIC, false, true, State::ESCALATED},
      {Spec::EXCLUSIVE, Spec::APPROVE, false, false, State::APPROVAL},
      {Spec::EXCLUSIVE, Spec::APPROVE, false, true, State::APPROVAL},
      {Spec::STATELESS, Spec::AUTOMATIC, false, false, State::FENCING},
      {Spec::STATELESS, Spec::AUTOMATIC, true, false, State::RESTORING},
      {Spec::STATELESS, Spec::AUTOMATIC, false, true, State::RESTORING},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(::testing::Message()
                 << Spec::Class_Name(row.kind) << " " << Spec::Mode_Name(row.mode) << " "
                 << row.proven << " " << row.unprovable);
    Story story;
    story.view.spec.mutable_recovery()->set_class_(row.kind);
    story.view.spec.mutable_recovery()->set_mode(row.mode);
    story.view.nodes["host1"] = v1::NodeState::REVOKED;
    story.view.fact.reset();
    story.view.judgement = {};
    story.view.fence_by_lease = row.proven;
    story.view.fence_unprovable = row.unprovable;
    story.recovery.set_node_death(true);
    const RecoveryStepResult step = story.Run();
    EXPECT_EQ(story.state(), row.want);
    EXPECT_EQ(step.order.has_value(), row.want == State::RESTORING);
    EXPECT_EQ(story.view.workload.node(), row.want == State::RESTORING ? "host2" : "host1");
    if (row.want != State::ESCALATED) continue;
    EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("nothing proves"));
    EXPECT_EQ(story.recovery.recovery().next_command(), "ember node show host1");
  }
}

TEST(Saga, AnExclusiveWorkloadThatDoesNotFenceItselfNeedsAPerson) {
  Story story;
  story.view.spec.mutable_recovery()->set_mode(v1::RecoverySpec::APPROVE);
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  story.view.fact.reset();
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::APPROVAL);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("sure that host1"));
  story.recovery.set_approved(true);
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order_node, "host2");
}

TEST(Saga, MovingFromALiveNodeStopsItThereFirst) {
  Story story;
  story.Run();
  story.Answer(false, "no space");
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_stop());
  EXPECT_EQ(step.order_node, "host1");
  EXPECT_EQ(story.state(), State::FENCING);
  story.Answer(true);
  const RecoveryStepResult moved = story.Run();
  ASSERT_TRUE(moved.order.has_value());
  EXPECT_EQ(moved.order_node, "host2");
  EXPECT_EQ(moved.order->restore().backup_id(), "db/new");
}

TEST(Saga, IfItCannotBeStoppedItIsNotStartedElsewhere) {
  Story story;
  story.Run();
  story.Answer(false, "no space");
  story.Run();
  story.Answer(false, "process in D state");
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.view.workload.node(), "host1");
}

TEST(Saga, CandidatesAreTriedInOrderThenAHumanIsAsked) {
  Story story;
  story.view.spec.mutable_recovery()->clear_standby();
  story.view.fact->set_data_missing(false);
  std::vector<std::string> asked;
  for (int i = 0; i < 10 && IsOpen(story.state()); ++i) {
    const RecoveryStepResult step = story.Run();
    if (!step.order) break;
    asked.push_back(step.order->has_start() ? "start" : step.order->restore().backup_id());
    story.Answer(false, "it does not work");
  }
  EXPECT_THAT(asked, ::testing::ElementsAre("start", "db/new", "db/old"));
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.view.workload.state(), v1::WorkloadState::QUARANTINED);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("it does not work"));
  EXPECT_EQ(story.recovery.recovery().next_command(), "ember workload restart db");
  EXPECT_FALSE(story.recovery.recovery().diagnostics().empty());
}

TEST(Saga, NotHealthyWithinTheDeadlineIsAFailure) {
  Story story;
  story.Run();
  story.Answer(true);
  story.Run();
  story.Answer(true);
  story.Run();
  ASSERT_EQ(story.state(), State::VERIFYING);
  story.view.fact->set_data_missing(false);
  story.view.judgement = {Health::kFailing, "connection refused"};
  story.view.now = kNow + absl::Seconds(kRecoveryVerifySeconds - 1);
  EXPECT_FALSE(story.Step().changed);
  story.view.now = kNow + absl::Seconds(kRecoveryVerifySeconds);
  EXPECT_TRUE(story.Step().changed);
  EXPECT_EQ(story.recovery.tried_size(), 1);
  EXPECT_THAT(story.recovery.tried(0).result(), HasSubstr("connection refused"));
}

TEST(Saga, HealthOfAnOlderEpochDoesNotCount) {
  Story story;
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  story.view.fact->set_data_missing(false);
  story.Run();
  story.Answer(true);
  story.Run();
  story.Answer(true);
  story.Run();
  ASSERT_EQ(story.state(), State::VERIFYING);
  story.view.judgement = {Health::kHealthy, ""};
  EXPECT_FALSE(story.Step().changed);
  story.view.fact->set_epoch(2);
  story.Run();
  EXPECT_EQ(story.state(), State::DONE);
}

TEST(Saga, DataOlderThanMaxAutoRpoAsksFirst) {
  Story story;
  story.view.spec.mutable_recovery()->set_max_auto_rpo_seconds(1800);
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::APPROVAL);
  EXPECT_EQ(story.recovery.recovery().next_command(), "ember recovery approve r-1");
  story.recovery.set_approved(true);
  EXPECT_TRUE(story.Run().order.has_value());
}

TEST(Saga, AFrozenEstateStartsNothing) {
  Story story;
  story.view.frozen = true;
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::FROZEN);
  story.view.frozen = false;
  EXPECT_TRUE(story.Run().order.has_value());
  story.view.frozen = true;
  story.Answer(true);
  EXPECT_FALSE(story.Step().changed) << "a restored service waits for the thaw";
}

TEST(Saga, NoBackupEscalatesWithTheReason) {
  Story story;
  story.view.backups.clear();
  story.view.spec.mutable_recovery()->clear_standby();
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("no good backup"));
}

TEST(Saga, AVaultOnADeadNodeIsNamed) {
  for (const auto state : {v1::NodeState::DEAD, v1::NodeState::REVOKED, v1::NodeState::JOINED}) {
    SCOPED_TRACE(v1::NodeState::Value_Name(state));
    Story story;
    story.view.nodes["nas"] = state;
    for (BackupChoice& backup : story.view.backups) backup.reachable = false;
    story.Run();
    EXPECT_EQ(story.state(), State::ESCALATED);
    EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("nas"));
    EXPECT_TRUE(story.recovery.blocked_by_dependency()) << "it is tried again when nas is back";
  }
}

TEST(Saga, AVaultWhoseNodeIsSilentForAWhileIsWaitedFor) {
  for (const bool comes_back : {true, false}) {
    SCOPED_TRACE(comes_back);
    Story story;
    for (const auto state : {v1::NodeState::SUSPECT, v1::NodeState::UNREACHABLE}) {
      story.view.nodes["nas"] = state;
      for (BackupChoice& backup : story.view.backups) backup.reachable = false;
      EXPECT_FALSE(story.Run().order.has_value());
      EXPECT_EQ(story.state(), State::PLANNED) << v1::NodeState::Value_Name(state);
    }
    EXPECT_EQ(story.recovery.recovery().message(),
              "waiting for the vault 'main' with db/new: its node nas is silent");
    EXPECT_FALSE(story.Step().changed);
    story.view.nodes["nas"] = comes_back ? v1::NodeState::ALIVE : v1::NodeState::DEAD;
    for (BackupChoice& backup : story.view.backups) backup.reachable = comes_back;
    const RecoveryStepResult step = story.Run();
    EXPECT_EQ(story.state(), comes_back ? State::RESTORING : State::ESCALATED);
    EXPECT_EQ(step.order.has_value(), comes_back);
  }
}

TEST(Saga, AnotherVaultThatCanBeReachedIsNotPassedOver) {
  Story story;
  story.view.backups[0].vault.set_node("nas2");
  story.view.backups[0].reachable = false;
  story.view.nodes["nas2"] = v1::NodeState::SUSPECT;
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order->restore().backup_id(), "db/old");
}

TEST(Saga, ADeadNodeWithoutStandbyEscalates) {
  Story story;
  story.view.spec.mutable_recovery()->clear_standby();
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.recovery.recovery().next_command(), "ember node show host1");
}

TEST(Saga, OnlySoManyRestoresAtOnce) {
  Story story;
  story.view.slot_free = false;
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::PLANNED);
  story.view.slot_free = true;
  EXPECT_TRUE(story.Run().order.has_value());
}

TEST(Saga, HealthyAgainByItselfEndsIt) {
  Story story;
  story.Healthy();
  story.Run();
  EXPECT_EQ(story.state(), State::DONE);
}

TEST(Saga, TheTargetDyingIsFencedLikeAnyOtherNode) {
  Story story;
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fence_by_lease = true;
  story.view.fact.reset();
  story.view.judgement = {};
  story.recovery.set_node_death(true);
  story.Run();
  ASSERT_EQ(story.recovery.recovery().target(), "host2");
  story.view.nodes["host2"] = v1::NodeState::DEAD;
  const RecoveryStepResult step = story.Step();
  EXPECT_FALSE(step.abandoned_order.empty());
  EXPECT_EQ(story.state(), State::FENCING);
  EXPECT_FALSE(story.recovery.fence_proven());
}

TEST(Saga, ItDoesNotActBeforeItsAgentReported) {
  Story story;
  story.view.fact.reset();
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::PLANNED);
  story.view.now = kNow + absl::Seconds(kRecoveryVerifySeconds);
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
}

TEST(Saga, RepeatingAStepChangesNothing) {
  Story story;
  story.Run();
  const RecoveryStepResult again = AdvanceRecovery(story.recovery, story.view);
  EXPECT_FALSE(again.changed);
  EXPECT_FALSE(again.order.has_value());
}

}  // namespace
}  // namespace ember::controller
