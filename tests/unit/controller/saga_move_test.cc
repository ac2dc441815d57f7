// A move that nobody's death is the cause of, until something is begun at its target.
#include "tests/unit/controller/saga_story.h"

namespace ember::controller {
namespace {

// A database that runs well and is to go from host1 to host2.
struct MoveStory : Story {
  MoveStory() {
    Healthy();
    view.judgement = {Health::kHealthy, ""};
    recovery = NewMove("r-1", view.spec, view.workload, "host2", "asked by admin", kNow);
  }
  // The backup it asked for is there.
  void BackedUp(const std::string& id, const std::string& error = "") {
    recovery.set_run_id("run of " + id);
    view.run = {.ended = true, .backup_id = id, .error = error};
    if (error.empty()) view.backups.insert(view.backups.begin(), Backup(id, -absl::Seconds(9)));
  }
  // Up to where it is stopped and to be backed up once more.
  void Stop() {
    EXPECT_EQ(Run().backup_reason, "to be moved to host2");
    BackedUp("db/while-it-ran");
    const RecoveryStepResult stop = Run();
    ASSERT_TRUE(stop.order.has_value());
    EXPECT_TRUE(stop.order->has_stop());
    EXPECT_EQ(stop.order_node, "host1");
    EXPECT_EQ(state(), State::FENCING);
    EXPECT_TRUE(view.workload.hold_recovery());
    Answer(true);
    EXPECT_EQ(Run().backup_reason, "stopped, to be moved to host2");
    EXPECT_EQ(state(), State::PLANNED);
    EXPECT_EQ(view.workload.node(), "host1");
  }
  std::string message() const { return recovery.recovery().message(); }
};

TEST(SagaMove, IsBackedUpStoppedBackedUpRestoredAndStarted) {
  MoveStory story;
  story.Stop();
  story.BackedUp("db/when-it-was-stopped");
  RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order->restore().backup_id(), "db/when-it-was-stopped");
  EXPECT_EQ(step.order_node, "host2");
  EXPECT_EQ(step.order->epoch(), 2u);
  EXPECT_EQ(story.view.workload.node(), "host2");
  EXPECT_EQ(story.view.workload.left_size(), 0) << "everything that is there was backed up";
  EXPECT_THAT(story.message(), HasSubstr("nothing is lost"));
  EXPECT_TRUE(story.recovery.move_to().empty());
  story.Answer(true);
  EXPECT_TRUE(story.Run().order->has_start());
  story.Answer(true);
  story.Run();
  story.Healthy();
  step = story.Run();
  EXPECT_EQ(story.state(), State::DONE);
  EXPECT_FALSE(story.view.workload.hold_recovery());
}

TEST(SagaMove, WaitsForItsBackupsWithoutSayingSoAgain) {
  MoveStory story;
  story.Run();
  story.recovery.set_run_id("run-1");
  EXPECT_TRUE(story.Step().changed);
  EXPECT_FALSE(story.Step().changed);
  EXPECT_EQ(story.state(), State::DETECTED);
}

TEST(SagaMove, WithoutDataIsStoppedAndStarted) {
  MoveStory story;
  story.view.spec.clear_sources();
  RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_stop());
  story.Answer(true);
  step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_start());
  EXPECT_EQ(step.order_node, "host2");
}

// Whatever stands in the way, while it runs as while it is stopped, it stays where it is.
struct Obstacle {
  std::string name;
  void (*put)(MoveStory&);
  std::string why;
};
class SagaMoveObstacles : public ::testing::TestWithParam<Obstacle> {};

TEST_P(SagaMoveObstacles, CallItOffWhileItRuns) {
  MoveStory story;
  story.Run();
  GetParam().put(story);
  const RecoveryStepResult step = story.Run();
  EXPECT_EQ(story.state(), State::CANCELLED);
  EXPECT_THAT(story.message(), HasSubstr(GetParam().why));
  EXPECT_EQ(story.view.workload.node(), "host1");
  EXPECT_FALSE(story.view.workload.hold_recovery());
  EXPECT_FALSE(step.order.has_value());
}

TEST_P(SagaMoveObstacles, CallItOffWhenItIsStoppedAndStartItAgain) {
  MoveStory story;
  story.Stop();
  GetParam().put(story);
  const RecoveryStepResult step = story.Step();
  EXPECT_EQ(story.state(), State::CANCELLED);
  EXPECT_TRUE(step.start_again);
  EXPECT_EQ(story.view.workload.node(), "host1");
  EXPECT_FALSE(story.view.workload.hold_recovery());
}

INSTANTIATE_TEST_SUITE_P(
    All, SagaMoveObstacles,
    ::testing::Values(
        Obstacle{"BackupFails",
                 [](MoveStory& story) { story.BackedUp("db/bad", "a path cannot be read"); },
                 "a path cannot be read"},
        Obstacle{"BackupIsPartial",
                 [](MoveStory& story) {
                   story.BackedUp("db/partial");
                   story.view.backups.erase(story.view.backups.begin());
                 },
                 "db/partial, failed: it is not whole"},
        Obstacle{"TargetIsSilent",
                 [](MoveStory& story) { story.view.nodes["host2"] = v1::NodeState::SUSPECT; },
                 "host2 is silent"},
        Obstacle{"APersonCancels",
                 [](MoveStory& story) { story.recovery.set_cancelled_by("admin"); },
                 "cancelled by admin"}),
    [](const auto& info) { return info.param.name; });

TEST(SagaMove, AFreezeCallsOffWhatRunsAndHoldsWhatIsStopped) {
  MoveStory runs;
  runs.Run();
  runs.view.frozen = true;
  runs.Run();
  EXPECT_EQ(runs.state(), State::CANCELLED);
  MoveStory stopped;
  stopped.Stop();
  stopped.BackedUp("db/when-it-was-stopped");
  stopped.view.frozen = true;
  EXPECT_FALSE(stopped.Run().order.has_value());
  EXPECT_EQ(stopped.state(), State::PLANNED);
  EXPECT_TRUE(stopped.view.workload.hold_recovery());
  stopped.view.frozen = false;
  EXPECT_TRUE(stopped.Run().order.has_value());
}

TEST(SagaMove, AStopThatFailsCallsItOff) {
  MoveStory story;
  story.Run();
  story.BackedUp("db/while-it-ran");
  story.Run();
  story.Answer(false, "it does not end");
  EXPECT_TRUE(story.Step().start_again);
  EXPECT_EQ(story.state(), State::CANCELLED);
  EXPECT_THAT(story.message(), HasSubstr("it could not be stopped: it does not end"));
}

// From there on nothing is known to have stopped: proven anew, and restored like after any death.
TEST(SagaMove, ADeathOfItsNodeMakesItARecovery) {
  MoveStory story;
  story.Stop();
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fact.reset();
  story.view.judgement = {};
  story.Step();
  EXPECT_EQ(story.state(), State::FENCING);
  EXPECT_FALSE(story.recovery.fence_proven());
  EXPECT_TRUE(story.recovery.move_to().empty());
  story.view.fence_by_lease = true;
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_restore());
  EXPECT_EQ(step.order_node, "host2");
  ASSERT_EQ(story.view.workload.left_size(), 1);
  EXPECT_EQ(story.view.workload.left(0).node(), "host1");
  EXPECT_EQ(story.view.workload.left(0).recovery(), "r-1");
}

TEST(SagaMove, WhatCannotRunAtItsTargetGoesBackHome) {
  MoveStory story;
  story.Stop();
  story.BackedUp("db/when-it-was-stopped");
  story.Run();
  story.Answer(true);
  story.Run();
  story.Answer(true);
  story.Run();
  ASSERT_EQ(story.state(), State::VERIFYING);
  story.view.fact->set_epoch(2);
  story.view.fact->set_probed(true);
  story.view.fact->set_restarts_exhausted(true);
  story.view.judgement = {Health::kDead, "it ends at once"};
  std::string places;
  for (int i = 0; i < 12; ++i) {
    const RecoveryStepResult step = story.Run();
    if (!step.order.has_value()) break;
    places = step.order_node;
    if (places == "host1") break;
    story.Answer(step.order->has_stop(), "it ends at once");
  }
  EXPECT_EQ(places, "host1");
}

TEST(SagaMove, ATargetThatDiesBeforeAnythingWasStartedThereNeedsNoFence) {
  MoveStory story;
  story.Stop();
  story.BackedUp("db/when-it-was-stopped");
  ASSERT_EQ(story.Run().order_node, "host2");
  ASSERT_EQ(story.state(), State::RESTORING);
  story.view.nodes["host2"] = v1::NodeState::DEAD;
  story.view.gone_since = kNow;
  story.view.fact.reset();
  story.view.judgement = {};
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_EQ(step.order->restore().backup_id(), "db/when-it-was-stopped");
  EXPECT_EQ(step.order_node, "host1");
  EXPECT_EQ(step.order->epoch(), 3u);
}

TEST(Candidates, WhatWasStoppedToBeMovedIsMovedFirst) {
  Story story;
  story.recovery.set_fence_proven(true);
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host2");
  story.view.nodes["host2"] = v1::NodeState::DEAD;
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host1") << "rather than nowhere";
}

TEST(SagaMove, DataLeftByADeathAreRememberedOncePerNodeUntilTheWorkloadIsThereAgain) {
  Story story;
  story.Die();
  ASSERT_TRUE(story.Run().order.has_value());
  ASSERT_EQ(story.view.workload.left_size(), 1);
  EXPECT_EQ(story.view.workload.left(0).node(), "host1");
  // Back home by a plan: nothing differs any more.
  MoveStory back;
  back.view.workload = story.view.workload;
  back.view.workload.set_hold_recovery(false);
  back.view.nodes["host1"] = v1::NodeState::ALIVE;
  back.view.fact->set_epoch(2);
  back.recovery =
      NewMove("r-2", back.view.spec, back.view.workload, "host1", "asked by admin", kNow);
  back.Run();
  back.BackedUp("db/1");
  back.Run();
  back.Answer(true);
  back.Run();
  back.BackedUp("db/2");
  ASSERT_TRUE(back.Run().order.has_value());
  EXPECT_EQ(back.view.workload.node(), "host1");
  EXPECT_EQ(back.view.workload.left_size(), 0);
}

TEST(Candidates, ANodeThatIsDrainedOrTooSmallIsPassedOver) {
  Story story;
  story.view.spec.mutable_recovery()->add_standby("host3");
  story.view.nodes["host3"] = v1::NodeState::ALIVE;
  story.view.backups[0].size_bytes = 2000;
  story.view.spec.mutable_recovery()->set_memory_bytes(1000);
  story.Die();
  story.recovery.set_fence_proven(true);
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host2");
  story.view.drained = {"host2"};
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host3");
  story.view.drained.clear();
  story.view.rooms["host2"] = {.memory_bytes = 999, .data_bytes = 5000};
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host3");
  story.view.rooms["host2"] = {.memory_bytes = 1000, .data_bytes = 1999};
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host3");
  story.view.rooms["host2"] = {.memory_bytes = 1000, .data_bytes = 2000};
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host2");
  story.view.rooms["host2"] = {};
  EXPECT_EQ(ChooseCandidate(story.recovery, story.view).target, "host2") << "not known";
  story.view.rooms["host2"] = story.view.rooms["host3"] = {.memory_bytes = 1};
  const Candidate none = ChooseCandidate(story.recovery, story.view);
  EXPECT_EQ(none.kind, Candidate::kGiveUp);
  EXPECT_TRUE(none.blocked) << "tried again when there is room";
  EXPECT_THAT(none.reason, HasSubstr("of memory"));
}

TEST(Candidates, WhatIsOnItsWayTakesItsRoom) {
  Room room = {.memory_bytes = 100, .data_bytes = 0};
  room.Take(60, 1000);
  EXPECT_EQ(room.memory_bytes, 40);
  EXPECT_EQ(room.data_bytes, 0) << "not known stays not known";
  room.Take(60, 0);
  EXPECT_EQ(room.memory_bytes, 1) << "none is left, which is something else than not known";
}

}  // namespace
}  // namespace ember::controller
