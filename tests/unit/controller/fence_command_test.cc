#include "controller/recover/fence_command.h"

#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

using State = v1::NodeState;
using ::testing::HasSubstr;

// host1 died, a recovery waits, and two nodes can switch it off.
struct Story {
  FenceView view;

  Story() {
    view.now = absl::FromUnixSeconds(1000);
    view.spec.add_command("/usr/local/bin/off");
    view.spec.add_from("host2");
    view.spec.add_from("nas");
    view.spec.set_timeout_seconds(60);
    view.node.set_name("host1");
    view.node.set_state(State::DEAD);
    view.node.mutable_state_since()->set_seconds(1000);
    view.wanted = true;
    view.nodes = {{"host2", State::ALIVE}, {"nas", State::ALIVE}};
  }
  FenceStep Step() {
    FenceStep step = AdvanceFence(view);
    view.node = step.node;
    view.result.reset();
    if (step.order) view.order_node = step.order_node;
    if (step.order) view.order_created = view.now;
    return step;
  }
  void Answer(bool ok, const std::string& text) {
    view.result.emplace();
    view.result->set_state(ok ? v1::OrderUpdate::DONE : v1::OrderUpdate::FAILED);
    if (ok) {
      view.result->mutable_fence()->set_output(text);
    } else {
      view.result->set_error(text);
    }
  }
  FenceCommand State() const { return FenceCommandFrom(view); }
};

TEST(FenceCommand, TheFirstNodeThatLivesRunsItAndItsEndIsTheProof) {
  Story story;
  story.view.nodes["host2"] = State::SUSPECT;
  const FenceStep begun = story.Step();
  ASSERT_TRUE(begun.order.has_value());
  EXPECT_EQ(begun.order_node, "nas");
  EXPECT_EQ(begun.order->id(), "fence/host1/1000/1");
  EXPECT_EQ(begun.order->fence().node(), "host1");
  EXPECT_EQ(begun.order->fence().command(0), "/usr/local/bin/off");
  EXPECT_EQ(begun.order->fence().timeout_seconds(), 60);
  EXPECT_TRUE(story.State().open);
  EXPECT_FALSE(story.Step().changed) << "until it has ended";
  story.Answer(true, "host1: off");
  const FenceStep ended = story.Step();
  EXPECT_EQ(ended.order_over, "fence/host1/1000/1");
  EXPECT_EQ(ended.event, "node.fenced");
  EXPECT_THAT(story.State().proof, HasSubstr("nas"));
  EXPECT_THAT(story.State().proof, HasSubstr("host1: off"));
  EXPECT_FALSE(story.State().open);
  EXPECT_FALSE(story.Step().changed) << "once is enough";
}

TEST(FenceCommand, WhatFailsIsTriedElsewhereAndNotForEver) {
  Story story;
  std::vector<std::string> ran_on;
  for (int i = 0; i < 10; ++i) {
    const FenceStep step = story.Step();
    if (!step.order) break;
    ran_on.push_back(step.order_node);
    story.Answer(false, "no answer");
    story.Step();
    EXPECT_FALSE(story.Step().changed) << "a switch needs time to come to its senses";
    story.view.now += absl::Seconds(kFenceRetrySeconds);
  }
  EXPECT_EQ(ran_on.size(), static_cast<size_t>(kFenceAttempts));
  EXPECT_EQ(ran_on[0], "host2");
  EXPECT_EQ(ran_on[1], "nas");
  EXPECT_EQ(ran_on[2], "host2");
  EXPECT_FALSE(story.State().open);
  EXPECT_EQ(story.State().proof, "");
  EXPECT_THAT(story.State().error, HasSubstr("no answer"));
}

TEST(FenceCommand, NothingIsRunUnlessItIsDeadAndSomebodyWaits) {
  const struct {
    State::Value state;
    bool wanted;
    bool has_command;
    bool runs;
    bool open;
  } kTable[] = {
      {State::DEAD, true, true, true, true},    {State::DEAD, false, true, false, true},
      {State::DEAD, true, false, false, false}, {State::UNREACHABLE, true, true, false, false},
      {State::ALIVE, true, true, false, false}, {State::REVOKED, true, true, false, false},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(State::Value_Name(row.state));
    Story story;
    story.view.node.set_state(row.state);
    story.view.wanted = row.wanted;
    if (!row.has_command) story.view.spec.Clear();
    EXPECT_EQ(story.State().open, row.open);
    EXPECT_EQ(story.Step().order.has_value(), row.runs);
  }
}

TEST(FenceCommand, IsWaitedForWhileSomeNodeMayRunIt) {
  Story story;
  story.view.nodes = {{"host2", State::DEAD}, {"nas", State::UNREACHABLE}};
  EXPECT_TRUE(story.State().open);
  EXPECT_FALSE(story.Step().order.has_value());
  story.view.nodes["nas"] = State::DEAD;
  EXPECT_FALSE(story.State().open) << "nobody is left to run it";
}

TEST(FenceCommand, IsBegunElsewhereWhenTheNodeThatRanItDied) {
  Story story;
  ASSERT_EQ(story.Step().order_node, "host2");
  story.view.nodes["host2"] = State::DEAD;
  const FenceStep lost = story.Step();
  EXPECT_EQ(lost.order_over, "fence/host1/1000/1");
  EXPECT_EQ(lost.event, "node.fence_failed");
  story.view.now += absl::Seconds(kFenceRetrySeconds);
  EXPECT_EQ(story.Step().order_node, "nas");
}

TEST(FenceCommand, IsBegunElsewhereWhenNobodyAnswers) {
  Story story;
  ASSERT_EQ(story.Step().order_node, "host2");
  story.view.now += absl::Seconds(60 + kFenceAnswerSeconds);
  EXPECT_FALSE(story.Step().changed) << "it may have just ended";
  story.view.now += absl::Seconds(1);
  EXPECT_EQ(story.Step().event, "node.fence_failed");
  story.view.now += absl::Seconds(kFenceRetrySeconds);
  EXPECT_EQ(story.Step().order_node, "nas");
}

TEST(FenceCommand, IsForgottenWhenTheNodeIsBack) {
  for (const bool ended : {false, true}) {
    Story story;
    ASSERT_TRUE(story.Step().order.has_value());
    if (ended) {
      story.Answer(true, "off");
      story.Step();
      ASSERT_NE(story.State().proof, "");
    }
    story.view.node.set_state(State::ALIVE);
    EXPECT_EQ(story.State().proof, "");
    const FenceStep back = story.Step();
    EXPECT_EQ(back.order_over, ended ? "" : "fence/host1/1000/1") << "nobody switches it off now";
    EXPECT_FALSE(back.node.has_fence());
  }
}

TEST(FenceCommand, WhatWasBegunBeforeTheNodeCameBackProvesNothing) {
  Story story;
  ASSERT_TRUE(story.Step().order.has_value());
  // Back and dead again, all unseen.
  story.view.node.mutable_state_since()->set_seconds(2000);
  story.Answer(true, "off");
  const FenceStep step = story.Step();
  EXPECT_EQ(step.order_over, "fence/host1/1000/1");
  EXPECT_EQ(story.State().proof, "");
  EXPECT_EQ(story.Step().order->id(), "fence/host1/2000/1");
}

}  // namespace
}  // namespace ember::controller
