// A recovery from the death to its end.
#include "tests/unit/controller/saga_story.h"

namespace ember::controller {
namespace {

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

TEST(Saga, WhatIsRestoredIsNotStartedBeforeWhatDiedMeanwhileIsVerified) {
  Story story;
  ASSERT_TRUE(story.Run().order.has_value());
  story.view.unmet_dependencies = {"disk"};
  story.Answer(true);
  const RecoveryStepResult restored = story.Run();
  EXPECT_FALSE(restored.order.has_value());
  EXPECT_EQ(story.state(), State::RESTORING);
  EXPECT_TRUE(story.view.workload.hold_recovery());
  EXPECT_EQ(story.recovery.order_id(), "") << "it holds no place among those that restore";
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("waiting for disk"));
  EXPECT_FALSE(story.Step().changed);
  Story given_up = story;
  story.view.unmet_dependencies.clear();
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_start());
  EXPECT_EQ(story.state(), State::STARTING);
  given_up.view.escalated_dependencies = {"disk"};
  given_up.Run();
  EXPECT_EQ(given_up.state(), State::ESCALATED);
  EXPECT_TRUE(given_up.recovery.blocked());
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

TEST(Saga, AnEscalatedDependencyEscalatesTheDependant) {
  Story story;
  story.view.unmet_dependencies = story.view.escalated_dependencies = {"disk"};
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_TRUE(story.recovery.blocked());
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
    story.Answer(false, "it does not work", absl::StatusCode::kDataLoss);
  }
  EXPECT_THAT(asked, ::testing::ElementsAre("start", "db/new", "db/old"));
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.view.workload.state(), v1::WorkloadState::QUARANTINED);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("it does not work"));
  EXPECT_EQ(story.recovery.recovery().next_command(), "ember workload restart db");
  EXPECT_FALSE(story.recovery.recovery().diagnostics().empty());
}

// A full disk, or a vault that went away, says nothing about the backups.
TEST(Saga, OnlyBackupsThatAreBadPutAWorkloadIntoQuarantine) {
  const struct {
    const char* what;
    bool restored;  // and started, but it never got healthy
    absl::StatusCode code;
    v1::WorkloadState::Value want;
  } kTable[] = {
      {"damaged", false, absl::StatusCode::kDataLoss, v1::WorkloadState::QUARANTINED},
      {"no room", false, absl::StatusCode::kResourceExhausted, v1::WorkloadState::ESCALATED},
      {"vault away", false, absl::StatusCode::kUnavailable, v1::WorkloadState::ESCALATED},
      {"useless", true, absl::StatusCode::kOk, v1::WorkloadState::QUARANTINED},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(row.what);
    Story story;
    story.view.spec.mutable_recovery()->clear_standby();
    for (int i = 0; i < 20 && IsOpen(story.state()); ++i) {
      const RecoveryStepResult step = story.Run();
      if (step.order) {
        story.Answer(row.restored, "no", row.code);
      } else if (story.state() == State::VERIFYING) {
        story.view.now += absl::Seconds(kRecoveryVerifySeconds);
      }
    }
    EXPECT_EQ(story.state(), State::ESCALATED);
    EXPECT_EQ(story.view.workload.state(), row.want);
  }
}

TEST(Saga, NoNodeAndNoVaultIsAskedForTooManyRestoresAtOnce) {
  Story story;
  story.view.restoring_to["host1"] = kRecoveriesPerTarget;
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::PLANNED);
  story.view.restoring_to.clear();
  story.view.restoring_from["main"] = kRecoveriesPerVault;
  EXPECT_FALSE(story.Run().order.has_value());
  story.view.restoring_from = {{"other", kRecoveriesPerVault}, {"main", kRecoveriesPerVault - 1}};
  EXPECT_TRUE(story.Run().order.has_value());
}

// Of the standby nodes host2 and host3, by where the others are.
TEST(Saga, ItMovesToWhereItsCompanyIsAndNotToWhereItMustNotBe) {
  const struct {
    const char* with;    // on which node
    const char* apart;   // on which node
    const char* target;  // empty: nowhere
  } kTable[] = {
      {"", "", "host2"},      {"", "host3", "host2"},      {"", "host2", "host3"},
      {"host3", "", "host3"}, {"host3", "host2", "host3"}, {"host3", "host3", ""},
      {"elsewhere", "", ""},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(::testing::Message() << "with " << row.with << ", apart " << row.apart);
    Story story;
    story.Die();
    story.view.spec.mutable_recovery()->add_standby("host3");
    story.view.nodes["host3"] = v1::NodeState::ALIVE;
    if (*row.with != '\0') {
      story.view.spec.mutable_recovery()->add_with("friend");
      story.view.places["friend"] = row.with;
    }
    if (*row.apart != '\0') {
      story.view.spec.mutable_recovery()->add_apart("rival");
      story.view.places["rival"] = row.apart;
    }
    const RecoveryStepResult step = story.Run();
    EXPECT_EQ(step.order_node, row.target);
    if (*row.target == '\0') {
      EXPECT_EQ(story.state(), State::ESCALATED);
      EXPECT_TRUE(story.recovery.blocked()) << "until the others move";
      EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("it may move nowhere"));
    }
  }
}

TEST(Saga, WhatItMustBeWithFindsItsPlaceFirst) {
  Story story;
  story.Die();
  story.view.spec.mutable_recovery()->add_with("friend");
  story.view.places["friend"] = "host1";
  story.view.moving = {"friend"};
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("'friend'"));
  story.view.places["friend"] = "host2";
  story.view.moving.clear();
  EXPECT_EQ(story.Run().order_node, "host2");
}

TEST(Saga, AnApprovalIsForWhatWasAskedAndNothingElse) {
  Story story;
  story.view.spec.mutable_recovery()->clear_standby();
  story.view.spec.mutable_recovery()->set_mode(v1::RecoverySpec::APPROVE);
  story.view.spec.mutable_recovery()->set_max_auto_rpo_seconds(1800);
  EXPECT_FALSE(story.Run().order.has_value());
  ASSERT_EQ(story.state(), State::APPROVAL);
  const std::string asked = story.recovery.recovery().message();
  for (const char* part : {"restore in place", "db/new", "59m", "'approve'", "max_auto_rpo"})
    EXPECT_THAT(asked, HasSubstr(part)) << "every reason is told, and what would be lost";
  EXPECT_NEAR(story.recovery.recovery().data_loss_seconds(), 3597, 1)
      << "from the backup to the death, not to now";
  story.recovery.set_approved(true);
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order->restore().backup_id(), "db/new");
  story.Answer(false, "no");
  EXPECT_FALSE(story.Run().order.has_value()) << "an older backup is another question";
  EXPECT_EQ(story.state(), State::APPROVAL);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("db/old"));
}

TEST(Saga, EveryPartOfARecoveryIsMeasured) {
  Story story;
  story.Die();
  story.view.fence_by_lease = false;
  story.Run();
  ASSERT_EQ(story.state(), State::FENCING);
  story.view.now += absl::Seconds(10);
  story.view.fence_by_lease = true;
  story.view.slot_free = false;
  story.Run();
  story.view.now += absl::Seconds(20);
  story.view.slot_free = true;
  ASSERT_TRUE(story.Run().order.has_value());
  story.view.now += absl::Seconds(30);
  story.Answer(true);
  ASSERT_TRUE(story.Run().order.has_value());
  story.view.now += absl::Seconds(2);
  story.Answer(true);
  story.Run();
  story.view.now += absl::Seconds(5);
  story.view.fact.emplace();
  story.Healthy();
  story.Run();
  ASSERT_EQ(story.state(), State::DONE);
  const v1::Recovery& done = story.recovery.recovery();
  EXPECT_EQ(done.detect_seconds(), 3);
  EXPECT_EQ(done.fence_seconds(), 10);
  EXPECT_EQ(done.plan_seconds(), 20);
  EXPECT_EQ(done.restore_seconds(), 30);
  EXPECT_EQ(done.start_seconds(), 2);
  EXPECT_EQ(done.verify_seconds(), 5);
  EXPECT_EQ(done.total_seconds(), 70);
  EXPECT_THAT(done.fence_proof(), HasSubstr("lease"));
}

TEST(Saga, WhatHasNothingToTryIsGivenUpWithItsCause) {
  Story story;
  story.view.spec.clear_sources();
  story.view.spec.mutable_recovery()->clear_standby();
  story.view.backups.clear();
  story.view.fact->set_data_missing(false);
  story.view.fact->set_restarts_exhausted(true);
  story.recovery.mutable_recovery()->set_cause("it keeps failing after 3 local restarts");
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.recovery.recovery().message(),
            "there is nothing to try: it keeps failing after 3 local restarts");
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
    EXPECT_TRUE(story.recovery.blocked()) << "it is tried again when nas is back";
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
