// Before it runs elsewhere, it must have stopped where it was.
#include "tests/unit/controller/saga_story.h"

namespace ember::controller {
namespace {

TEST(SagaFence, WhatWasFencedWithItsNodeIsHeldForItsDependencyIfThatNodeComesBack) {
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

TEST(SagaFence, ADeadNodeIsFencedByItsLeaseBeforeTheStandbyStarts) {
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
TEST(SagaFence, OfARemovedNodeNothingWaitsForEver) {
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
      {Spec::STATELESS, Spec::AUTOMATIC, false, false, State::RESTORING},
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
    story.view.workload.set_self_fences(row.mode == Spec::AUTOMATIC);
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

// APPROVE: its agent never stops it. AUTOMATIC: its standby was declared when its node was silent
// already, and the agent there knows of no fence.
TEST(SagaFence, AnExclusiveWorkloadThatDoesNotFenceItselfNeedsAPerson) {
  for (const auto mode : {v1::RecoverySpec::APPROVE, v1::RecoverySpec::AUTOMATIC}) {
    SCOPED_TRACE(v1::RecoverySpec::Mode_Name(mode));
    Story story;
    story.view.spec.mutable_recovery()->set_mode(mode);
    story.view.workload.set_self_fences(false);
    story.Die();
    EXPECT_FALSE(story.Run().order.has_value());
    EXPECT_EQ(story.state(), State::APPROVAL);
    EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("sure that host1"));
    story.recovery.set_approved(true);
    const RecoveryStepResult step = story.Run();
    ASSERT_TRUE(step.order.has_value());
    EXPECT_EQ(step.order_node, "host2");
    EXPECT_FALSE(story.view.workload.self_fences()) << "host2 has not said yet that it knows";
  }
}

// By what its node's fence command says, of a workload that its agent does not stop by itself.
TEST(SagaFence, AFenceCommandProvesWhatSilenceDoesNot) {
  const struct {
    const char* proof;
    const char* error;
    bool open;
    State::Value want;
  } kTable[] = {
      {"", "", true, State::FENCING},
      {"", "no answer", true, State::FENCING},
      {"off, says nas", "", false, State::RESTORING},
      {"", "no answer", false, State::APPROVAL},
      {"", "", false, State::APPROVAL},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(::testing::Message() << row.proof << " " << row.error << " " << row.open);
    Story story;
    story.Die();
    story.view.workload.set_self_fences(false);
    story.view.fence_by_lease = false;
    story.view.fence_command = {.proof = row.proof, .error = row.error, .open = row.open};
    const RecoveryStepResult step = story.Run();
    EXPECT_EQ(story.state(), row.want);
    EXPECT_EQ(step.order.has_value(), row.want == State::RESTORING);
    EXPECT_THAT(story.recovery.recovery().message(),
                HasSubstr(row.want == State::RESTORING ? "restoring" : row.error));
    if (row.want == State::RESTORING) {
      EXPECT_EQ(story.recovery.recovery().fence_proof(), row.proof);
    }
  }
}

// It was fenced, waits for a person or a thaw, and its node comes back, seen or not; then it is
// silent again. What was proven then is not true any more.
TEST(SagaFence, AProofDoesNotOutliveTheDeathOfItsNode) {
  for (const bool frozen : {false, true}) {
    for (const bool seen : {false, true}) {
      SCOPED_TRACE(::testing::Message() << frozen << " " << seen);
      Story story;
      story.Die();
      story.view.spec.mutable_recovery()->set_max_auto_rpo_seconds(frozen ? 0 : 60);
      story.view.slot_free = !frozen;
      story.Run();
      story.view.frozen = frozen;
      story.Run();
      ASSERT_EQ(story.state(), frozen ? State::FROZEN : State::APPROVAL);
      ASSERT_TRUE(story.recovery.fence_proven());
      story.view.now += absl::Seconds(10);
      if (seen) {
        story.view.nodes["host1"] = v1::NodeState::ALIVE;
        story.Run();
      }
      story.view.nodes["host1"] = v1::NodeState::DEAD;
      story.view.gone_since = story.view.now;
      story.view.fence_by_lease = false;  // not yet of this silence
      story.view.frozen = false;
      story.view.slot_free = true;
      story.recovery.set_approved(true);
      EXPECT_FALSE(story.Run().order.has_value());
      EXPECT_EQ(story.state(), State::FENCING);
      story.view.fence_by_lease = true;
      EXPECT_TRUE(story.Run().order.has_value() || story.state() == State::APPROVAL);
    }
  }
}

TEST(SagaFence, ALeaseIsProofEnoughWithoutTheCommand) {
  Story story;
  story.Die();
  story.view.fence_command = {.open = true};
  EXPECT_TRUE(story.Run().order.has_value()) << "nobody is switched off without need";
}

TEST(SagaFence, AFenceCommandHelpsWhereNoVoteCan) {
  Story story;
  story.Die();
  story.view.fence_by_lease = false;
  story.view.fence_unprovable = true;
  story.view.fence_command = {.open = true};
  story.Run();
  EXPECT_EQ(story.state(), State::FENCING);
  story.view.fence_command = {.proof = "off"};
  EXPECT_TRUE(story.Run().order.has_value());
}

TEST(SagaFence, ApprovalOfAnOldBackupIsNoProofOfAFence) {
  Story story;
  story.view.workload.set_self_fences(false);
  story.view.spec.mutable_recovery()->set_max_auto_rpo_seconds(1800);
  story.Run();
  ASSERT_EQ(story.state(), State::APPROVAL);
  story.recovery.set_approved(true);
  ASSERT_TRUE(story.Run().order.has_value());
  story.Die();
  EXPECT_FALSE(story.Run().order.has_value());
  EXPECT_EQ(story.state(), State::APPROVAL);
  EXPECT_THAT(story.recovery.recovery().message(), HasSubstr("sure that host1"));
}

TEST(SagaFence, AFenceIsForgottenWhenTheNodeComesBackBeforeTheMove) {
  Story story;
  story.Die();
  story.view.slot_free = false;
  story.Run();
  ASSERT_EQ(story.state(), State::PLANNED);
  ASSERT_TRUE(story.recovery.fence_proven());
  story.view.nodes["host1"] = v1::NodeState::ALIVE;
  story.view.fact.emplace();
  story.view.fact->set_epoch(1);
  story.Run();
  EXPECT_FALSE(story.recovery.fence_proven()) << "its agent may have started it again";
  story.Answer(false, "no such file");
  story.Run();
  story.view.slot_free = true;
  story.Run();
  story.Answer(false, "no space");
  const RecoveryStepResult step = story.Run();
  ASSERT_TRUE(step.order.has_value());
  EXPECT_TRUE(step.order->has_stop());
}

TEST(SagaFence, ANodeThatDiesBeforeItStoppedIsFencedByItsLease) {
  Story story;
  story.Run();
  story.Answer(false, "no space");
  ASSERT_TRUE(story.Run().order->has_stop());
  const std::string asked = story.recovery.order_id();
  story.view.nodes["host1"] = v1::NodeState::DEAD;
  story.view.fact.reset();
  story.view.judgement = {};
  const RecoveryStepResult died = story.Step();
  EXPECT_EQ(died.abandoned_order, asked);
  EXPECT_EQ(story.state(), State::FENCING);
  EXPECT_FALSE(story.Run().order.has_value());
  story.view.fence_by_lease = true;
  EXPECT_EQ(story.Run().order_node, "host2");
}

TEST(SagaFence, AStandbyThatIsSilentForAWhileIsWaitedFor) {
  for (const bool comes_back : {true, false}) {
    SCOPED_TRACE(comes_back);
    Story story;
    story.Die();
    story.view.nodes["host2"] = v1::NodeState::SUSPECT;
    EXPECT_FALSE(story.Run().order.has_value());
    EXPECT_EQ(story.state(), State::PLANNED);
    EXPECT_EQ(story.recovery.recovery().message(),
              "waiting for its standby node host2, which is silent");
    story.view.nodes["host2"] = comes_back ? v1::NodeState::ALIVE : v1::NodeState::DEAD;
    EXPECT_EQ(story.Run().order.has_value(), comes_back);
    EXPECT_EQ(story.state(), comes_back ? State::RESTORING : State::ESCALATED);
  }
}

TEST(SagaFence, MovingFromALiveNodeStopsItThereFirst) {
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

TEST(SagaFence, IfItCannotBeStoppedItIsNotStartedElsewhere) {
  Story story;
  story.Run();
  story.Answer(false, "no space");
  story.Run();
  story.Answer(false, "process in D state");
  story.Run();
  EXPECT_EQ(story.state(), State::ESCALATED);
  EXPECT_EQ(story.view.workload.node(), "host1");
}

TEST(SagaFence, TheTargetDyingIsFencedLikeAnyOtherNodeOnceItWasToStart) {
  Story story;
  story.Die();
  story.Run();
  ASSERT_EQ(story.recovery.recovery().target(), "host2");
  story.Answer(true);
  story.Run();
  ASSERT_EQ(story.state(), State::STARTING);
  story.view.nodes["host2"] = v1::NodeState::DEAD;
  const RecoveryStepResult step = story.Step();
  EXPECT_FALSE(step.abandoned_order.empty());
  EXPECT_EQ(story.state(), State::FENCING);
  EXPECT_FALSE(story.recovery.fence_proven());
}

// It was held before it was placed there.
TEST(SagaFence, ATargetThatDiesBeforeItWasToStartNeedsNoFence) {
  Story story;
  story.view.spec.mutable_recovery()->add_standby("host3");
  story.view.nodes["host3"] = v1::NodeState::SUSPECT;  // which it waits for
  story.Die();
  story.Run();
  ASSERT_EQ(story.state(), State::RESTORING);
  story.view.nodes["host2"] = v1::NodeState::DEAD;
  story.view.now += absl::Seconds(60);
  story.view.gone_since = story.view.now;
  const RecoveryStepResult step = story.Step();
  EXPECT_FALSE(step.abandoned_order.empty());
  EXPECT_EQ(story.state(), State::PLANNED);
  EXPECT_TRUE(story.recovery.fence_proven());
  story.Step();
  EXPECT_TRUE(story.recovery.fence_proven()) << "it has been gone since";
  story.view.gone_since += absl::Seconds(60);
  story.Step();
  EXPECT_FALSE(story.recovery.fence_proven()) << "it was back meanwhile, whatever it did";
}

}  // namespace
}  // namespace ember::controller
