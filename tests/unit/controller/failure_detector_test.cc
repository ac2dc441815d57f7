#include "controller/fleet/failure_detector.h"

#include "common/base/limits.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

using State = v1::NodeState;

const absl::Duration kLongAgo = -absl::Hours(10);

NodeView Node(std::string name, absl::Duration last_beat, State::Value state = State::ALIVE) {
  NodeView node;
  node.name = std::move(name);
  node.state = state;
  node.last_beat = last_beat;
  node.state_since = kLongAgo;
  node.ever_beat = true;
  return node;
}

FleetView Fleet(std::vector<NodeView> nodes, absl::Duration now) {
  FleetView fleet;
  fleet.nodes = std::move(nodes);
  fleet.now = now;
  fleet.trusted_from = kLongAgo;
  return fleet;
}

FleetVerdict Judge(const FleetView& fleet) { return JudgeFleet(fleet, PolicyFrom(v1::Settings())); }

TEST(FailureDetector, SilenceMakesSuspectThenUnreachableThenDead) {
  const struct {
    int64_t silent;
    State::Value want;
  } kTable[] = {
      {0, State::ALIVE},    {9, State::ALIVE},        {10, State::SUSPECT},
      {19, State::SUSPECT}, {20, State::UNREACHABLE}, {44, State::UNREACHABLE},
      {45, State::DEAD},    {4000, State::DEAD},
  };
  const absl::Duration now = absl::Hours(1);
  for (const auto& row : kTable) {
    const FleetView fleet =
        Fleet({Node("a", now - absl::Seconds(row.silent)), Node("b", now), Node("c", now)}, now);
    EXPECT_EQ(Judge(fleet).nodes[0].state, row.want) << row.silent << " s";
  }
}

TEST(FailureDetector, NobodyIsDeadWithinTwoLeasesOfAStart) {
  FleetView fleet = Fleet({Node("a", -absl::InfiniteDuration()), Node("b", absl::Seconds(100)),
                           Node("c", absl::Seconds(100))},
                          absl::Seconds(100));
  fleet.trusted_from = absl::Seconds(70);
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::UNREACHABLE);
  fleet.trusted_from = absl::Seconds(82);
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::ALIVE) << "its beat may still come";
  fleet.trusted_from = absl::Seconds(0);
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::DEAD);
}

TEST(FailureDetector, ARestartOfTheControllerDoesNotReviveADeadNode) {
  FleetView fleet = Fleet({Node("a", -absl::InfiniteDuration(), State::DEAD),
                           Node("b", absl::Seconds(1)), Node("c", absl::Seconds(1))},
                          absl::Seconds(1));
  fleet.trusted_from = absl::ZeroDuration();
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::DEAD);
}

TEST(FailureDetector, ABeatBringsADeadNodeBack) {
  FleetView fleet = Fleet({Node("a", absl::Seconds(99), State::DEAD)}, absl::Seconds(100));
  fleet.nodes[0].state_since = absl::Seconds(50);
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::ALIVE);
}

TEST(FailureDetector, ANodeThatOnlyJoinedIsNeverDead) {
  FleetView fleet = Fleet({Node("a", -absl::InfiniteDuration(), State::JOINED)}, absl::Hours(5));
  fleet.nodes[0].ever_beat = false;
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::JOINED);
}

TEST(FailureDetector, RevokedStaysRevoked) {
  FleetView fleet = Fleet({Node("a", absl::Hours(5))}, absl::Hours(5));
  fleet.nodes[0].revoked = true;
  EXPECT_EQ(Judge(fleet).nodes[0].state, State::REVOKED);
}

// Five nodes, "a" removed and silent since `silent` ago, the others alive.
FleetView Removed(absl::Duration silent) {
  const absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet({Node("a", now - silent, State::REVOKED), Node("b", now), Node("c", now),
                           Node("d", now), Node("e", now)},
                          now);
  fleet.nodes[0].revoked = true;
  fleet.nodes[0].state_since = now - silent;
  for (int i = 1; i < 5; ++i) {
    fleet.nodes[i].leased_beat = now;
    fleet.nodes[i].leased_since = kLongAgo;
  }
  return fleet;
}
void Remove(NodeView* node, absl::Duration since) {
  node->revoked = true;
  node->state = State::REVOKED;
  node->state_since = since;
}
LeaseFence Fence(const FleetView& fleet, const std::set<std::string>& told = {"b", "c", "d", "e"}) {
  return JudgeLeaseFence(fleet, "a", told, PolicyFrom(v1::Settings()));
}

TEST(LeaseFence, ARemovedNodeIsFencedAfterTheTimeOfADeadOne) {
  const struct {
    int64_t silent;
    LeaseFence want;
  } kTable[] = {{0, LeaseFence::kPending},
                {20, LeaseFence::kPending},
                {kDeadSeconds - 1, LeaseFence::kPending},
                {kDeadSeconds, LeaseFence::kProven},
                {4000, LeaseFence::kProven}};
  for (const auto& row : kTable)
    EXPECT_EQ(Fence(Removed(absl::Seconds(row.silent))), row.want) << row.silent << " s";
}

TEST(LeaseFence, OfANodeThatIsNotRemovedOnlyDeathProvesIt) {
  FleetView fleet = Removed(absl::Seconds(4000));
  fleet.nodes[0].revoked = false;
  for (const State::Value state :
       {State::JOINED, State::ALIVE, State::SUSPECT, State::UNREACHABLE}) {
    fleet.nodes[0].state = state;
    EXPECT_EQ(Fence(fleet), LeaseFence::kPending) << State::Value_Name(state);
  }
  fleet.nodes[0].state = State::DEAD;
  EXPECT_EQ(Fence(fleet), LeaseFence::kProven);
  EXPECT_EQ(JudgeLeaseFence(fleet, "nobody", {}, PolicyFrom(v1::Settings())),
            LeaseFence::kUnprovable);
}

TEST(LeaseFence, ANewTermAndAFreezeProveNothing) {
  FleetView fleet = Removed(absl::Seconds(4000));
  fleet.trusted_from = fleet.now - absl::Seconds(kDeadSeconds + kBeatDeadlineSeconds - 1);
  EXPECT_EQ(Fence(fleet), LeaseFence::kPending);
  fleet.trusted_from -= absl::Seconds(1);
  EXPECT_EQ(Fence(fleet), LeaseFence::kProven);
  fleet.freeze.frozen = true;
  EXPECT_EQ(Fence(fleet), LeaseFence::kPending);
}

// In the vote of its peers those removed with it have no lease either.
TEST(LeaseFence, NodesRemovedTogetherMayOutvoteTheRest) {
  FleetView fleet = Removed(absl::Seconds(100));
  const absl::Duration then = fleet.now - absl::Seconds(100);
  Remove(&fleet.nodes[1], then);
  EXPECT_EQ(Fence(fleet), LeaseFence::kProven) << "two of five are no majority";
  Remove(&fleet.nodes[2], then);
  EXPECT_EQ(Fence(fleet), LeaseFence::kUnprovable);
  fleet.nodes[1].state_since = fleet.nodes[2].state_since = then - absl::Seconds(kDeadSeconds);
  EXPECT_EQ(Fence(fleet), LeaseFence::kUnprovable) << "it has not said that it knows";
  EXPECT_EQ(Fence(fleet, {"d", "e"}), LeaseFence::kProven) << "it was told that they are gone";
  fleet.nodes[0].recorded_beat = fleet.nodes[0].last_beat;
  fleet.nodes[0].last_beat = kLongAgo;
  EXPECT_EQ(Fence(fleet, {"d", "e"}), LeaseFence::kProven) << "in an earlier term";
}

TEST(LeaseFence, WhoMayComeBackIsWaitedFor) {
  FleetView fleet = Removed(absl::Seconds(100));
  Remove(&fleet.nodes[1], fleet.now - absl::Seconds(100));
  fleet.nodes[2].leased_beat = fleet.now - absl::Seconds(30);
  fleet.nodes[2].state = State::UNREACHABLE;
  EXPECT_EQ(Fence(fleet), LeaseFence::kPending);
  fleet.nodes[2].state = State::DEAD;
  EXPECT_EQ(Fence(fleet), LeaseFence::kUnprovable);
}

// Five nodes, "a" dead: those in maintenance are no alarm, and vote all the same.
TEST(LeaseFence, NodesInMaintenanceMayOutvoteTheRestOfADeadOne) {
  FleetView fleet = Removed(absl::Seconds(100));
  fleet.nodes[0].revoked = false;
  fleet.nodes[0].state = State::DEAD;
  for (const int switched_off : {1, 2}) {
    fleet.nodes[switched_off].maintenance = true;
    fleet.nodes[switched_off].state = State::DEAD;
    fleet.nodes[switched_off].leased_beat = fleet.now - absl::Hours(1);
    EXPECT_EQ(Fence(fleet), switched_off == 1 ? LeaseFence::kProven : LeaseFence::kUnprovable);
  }
}

TEST(LeaseFence, WhoIsBackCountsOnceItsVoteIsForgotten) {
  FleetView fleet = Removed(absl::Seconds(100));
  for (const int back : {1, 2, 3}) fleet.nodes[back].leased_since = fleet.now - absl::Seconds(44);
  EXPECT_EQ(Fence(fleet), LeaseFence::kPending);
  for (const int back : {1, 2}) fleet.nodes[back].leased_since = fleet.now - absl::Seconds(45);
  EXPECT_EQ(Fence(fleet), LeaseFence::kProven);
}

// Whoever joined while it was silent is nobody that it asks.
TEST(LeaseFence, OnlyPeersThatItKnowsSpeakAgainstIt) {
  FleetView fleet = Removed(absl::Seconds(100));
  EXPECT_EQ(Fence(fleet, {}), LeaseFence::kUnprovable) << "alone, it is its own majority";
  EXPECT_EQ(Fence(fleet, {"b"}), LeaseFence::kProven);
  fleet.nodes[4].leased_since = fleet.now;
  EXPECT_EQ(Fence(fleet, {"b"}), LeaseFence::kUnprovable) << "it may have heard of e meanwhile";
}

TEST(FailureDetector, OfTwoNodesOneMayDieAndComeBack) {
  const absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet({Node("a", now - absl::Seconds(kDeadSeconds)), Node("b", now)}, now);
  const FleetVerdict verdict = Judge(fleet);
  EXPECT_FALSE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.nodes[0].state, State::DEAD);
  fleet.nodes[1].last_beat = now - absl::Seconds(kDeadSeconds);
  EXPECT_TRUE(Judge(fleet).freeze.frozen) << "both";
}

// With the letter of "70 % are back" it would never thaw.
TEST(FailureDetector, AFrozenEstateOfThreeThawsWithOneDead) {
  const absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet(
      {Node("a", now - absl::Seconds(600), State::UNREACHABLE), Node("b", now), Node("c", now)},
      now);
  fleet.freeze.frozen = true;
  fleet.freeze.thaw_from = now - absl::Seconds(kThawSeconds);
  const FleetVerdict verdict = Judge(fleet);
  EXPECT_FALSE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.nodes[0].state, State::DEAD);
}

TEST(FailureDetector, OneOfThreeDyingDoesNotFreeze) {
  const absl::Duration now = absl::Hours(1);
  const FleetVerdict verdict =
      Judge(Fleet({Node("a", now - absl::Seconds(50)), Node("b", now), Node("c", now)}, now));
  EXPECT_FALSE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.nodes[0].state, State::DEAD);
}

TEST(FailureDetector, TwoOfThreeSilentFreezesAndNobodyBecomesDead) {
  const absl::Duration now = absl::Hours(1);
  const FleetVerdict verdict = Judge(Fleet(
      {Node("a", now - absl::Seconds(50)), Node("b", now - absl::Seconds(48)), Node("c", now)},
      now));
  EXPECT_TRUE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.nodes[0].state, State::UNREACHABLE);
  EXPECT_EQ(verdict.nodes[1].state, State::UNREACHABLE);
}

TEST(FailureDetector, FourOfTenSilentWithinAMinuteFreezesThoughAMajorityIsLeft) {
  const absl::Duration now = absl::Hours(1);
  std::vector<NodeView> nodes;
  for (int i = 0; i < 10; ++i)
    nodes.push_back(Node("n" + std::to_string(i), i < 4 ? now - absl::Seconds(12) : now));
  EXPECT_TRUE(Judge(Fleet(nodes, now)).freeze.frozen);
  nodes[3].last_beat = now;
  EXPECT_FALSE(Judge(Fleet(nodes, now)).freeze.frozen);
}

TEST(FailureDetector, MaintenanceIsNotCounted) {
  const absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet(
      {Node("a", now - absl::Seconds(50)), Node("b", now - absl::Seconds(48)), Node("c", now)},
      now);
  fleet.nodes[0].maintenance = fleet.nodes[1].maintenance = true;
  EXPECT_FALSE(Judge(fleet).freeze.frozen);
}

TEST(FailureDetector, ThawsAfterEnoughAreBackForTwoMinutes) {
  absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet({Node("a", now), Node("b", now), Node("c", now)}, now);
  fleet.freeze.frozen = true;
  fleet.freeze.thaw_from = absl::InfiniteDuration();
  FleetVerdict verdict = Judge(fleet);
  EXPECT_TRUE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.freeze.thaw_from, now);
  fleet.freeze = verdict.freeze;
  for (NodeView& node : fleet.nodes) node.last_beat += absl::Seconds(kThawSeconds);
  fleet.now += absl::Seconds(kThawSeconds);
  EXPECT_FALSE(Judge(fleet).freeze.frozen);
}

TEST(FailureDetector, ARelapseRestartsTheThaw) {
  const absl::Duration now = absl::Hours(1);
  FleetView fleet = Fleet(
      {Node("a", now - absl::Seconds(30)), Node("b", now - absl::Seconds(30)), Node("c", now)},
      now);
  fleet.freeze.frozen = true;
  fleet.freeze.thaw_from = now - absl::Seconds(100);
  const FleetVerdict verdict = Judge(fleet);
  EXPECT_TRUE(verdict.freeze.frozen);
  EXPECT_EQ(verdict.freeze.thaw_from, absl::InfiniteDuration());
}

TEST(FailureDetector, NodesDeadForLongDoNotPreventTheThaw) {
  const absl::Duration now = absl::Hours(1);
  std::vector<NodeView> nodes;
  for (int i = 0; i < 10; ++i) {
    nodes.push_back(Node("n" + std::to_string(i), i < 4 ? now - absl::Hours(20) : now,
                         i < 4 ? State::DEAD : State::ALIVE));
  }
  FleetView fleet = Fleet(nodes, now);
  fleet.freeze.frozen = true;
  fleet.freeze.thaw_from = now - absl::Seconds(kThawSeconds);
  EXPECT_FALSE(Judge(fleet).freeze.frozen);
}

}  // namespace
}  // namespace ember::controller
