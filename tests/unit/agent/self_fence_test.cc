#include "node-agent/link/self_fence.h"

#include "common/base/limits.h"
#include "gtest/gtest.h"

namespace ember::agent {
namespace {

using absl::Seconds;
using Action = SelfFence::Action;
constexpr absl::Duration kLease = absl::Seconds(20);
constexpr absl::Duration kAsk = absl::Seconds(kSelfFenceSeconds - kSelfFenceKillSeconds);

SelfFence LeasedAt(absl::Duration sent) {
  SelfFence fence(sent);
  Lease lease;
  lease.Grant(sent, kLease);
  fence.Granted(lease);
  return fence;
}

TEST(SelfFenceVote, AMajorityThatIncludesThisNodeMeansTheControllerIsDown) {
  struct Row {
    int peers, without_lease;
    bool down;
  };
  for (const Row& row : {Row{0, 0, true},                    // alone: nobody else could act
                         Row{1, 0, false}, Row{1, 1, true},  // two nodes: only both together
                         Row{2, 0, false}, Row{2, 1, true}, Row{2, 2, true}, Row{3, 1, false},
                         Row{3, 2, true},  // four: half is no majority
                         Row{4, 1, false}, Row{4, 2, true}}) {
    EXPECT_EQ(ControllerIsDown({row.peers, row.without_lease}), row.down)
        << row.peers << " " << row.without_lease;
  }
}

TEST(SelfFence, DoesNothingWhileTheLeaseIsHeld) {
  SelfFence fence = LeasedAt(Seconds(100));
  EXPECT_EQ(fence.Next(Seconds(119)).action, Action::kNone);
  EXPECT_TRUE(fence.gate_open());
  EXPECT_EQ(fence.deadline(), Seconds(120) + kAsk);
}

TEST(SelfFence, WithoutAnyAnswerItFencesInTimeForTermAndKill) {
  SelfFence fence = LeasedAt(Seconds(100));
  absl::Duration fenced_at = absl::InfiniteDuration();
  for (absl::Duration now = Seconds(120); now < Seconds(140); now += absl::Milliseconds(500)) {
    const SelfFence::Step step = fence.Next(now);
    if (step.action == Action::kFence) {
      fenced_at = now;
      break;
    }
    ASSERT_EQ(step.action, Action::kAskPeers);
    EXPECT_LE(now + step.ask_timeout, Seconds(120) + kAsk) << "an answer would come too late";
    fence.Voted(now, {2, 0}, kLease);
  }
  EXPECT_EQ(fenced_at, Seconds(120) + kAsk);
  EXPECT_LE(fenced_at + Seconds(kSelfFenceKillSeconds), Seconds(120) + Seconds(kSelfFenceSeconds));
  EXPECT_TRUE(fence.fenced());
  EXPECT_FALSE(fence.gate_open());
}

TEST(SelfFence, PeersWhoseLeasesLapseALittleLaterStillSaveIt) {
  SelfFence fence = LeasedAt(Seconds(100));
  fence.Voted(Seconds(120), {2, 0}, kLease);  // both still hold theirs
  EXPECT_EQ(fence.Next(Seconds(121)).action, Action::kAskPeers);
  fence.Voted(Seconds(123), {2, 2}, kLease);  // the controller is down for all
  EXPECT_EQ(fence.Next(Seconds(124)).action, Action::kNone);
  EXPECT_EQ(fence.deadline(), Seconds(143) + kAsk);
  EXPECT_TRUE(fence.gate_open()) << "a crashed service may be restarted in place";
}

TEST(SelfFence, AVoteCountsForOneLeaseOnly) {
  SelfFence fence = LeasedAt(Seconds(100));
  fence.Voted(Seconds(121), {2, 1}, kLease);
  EXPECT_EQ(fence.Next(Seconds(131)).action, Action::kAskPeers) << "asked again before it ends";
  fence.Voted(Seconds(131), {2, 0}, kLease);  // the others have leases again
  EXPECT_EQ(fence.Next(Seconds(140)).action, Action::kAskPeers);
  EXPECT_EQ(fence.Next(Seconds(141) + kAsk).action, Action::kFence);
}

TEST(SelfFence, FencesOnceAndHoldsUntilALeaseReturns) {
  SelfFence fence = LeasedAt(Seconds(100));
  EXPECT_EQ(fence.Next(Seconds(500)).action, Action::kFence);
  EXPECT_EQ(fence.Next(Seconds(501)).action, Action::kNone);
  fence.Voted(Seconds(502), {2, 2}, kLease);
  EXPECT_TRUE(fence.fenced())
      << "no vote undoes it: the controller may have moved the workload meanwhile";
  Lease lease;
  lease.Grant(Seconds(600), kLease);
  fence.Granted(lease);
  EXPECT_FALSE(fence.fenced());
  EXPECT_TRUE(fence.gate_open());
}

TEST(SelfFence, ALeaseWonWhilePeersWereAskedIsNotShortenedByTheirAnswer) {
  SelfFence fence = LeasedAt(Seconds(100));
  Lease lease;
  lease.Grant(Seconds(121), kLease);
  fence.Granted(lease);
  fence.Voted(Seconds(120), {2, 2}, kLease);
  EXPECT_EQ(fence.deadline(), Seconds(141) + kAsk);
  EXPECT_EQ(fence.Next(Seconds(135)).action, Action::kNone);
}

TEST(SelfFence, AtStartTheGateIsClosedAndEarlierDeadlinesStand) {
  SelfFence fence(Seconds(100));
  EXPECT_FALSE(fence.gate_open());
  EXPECT_FALSE(fence.fenced());
  EXPECT_EQ(fence.deadline(), std::nullopt);
  EXPECT_EQ(fence.Next(Seconds(100)).action, Action::kAskPeers);
  fence.Voted(Seconds(100), {2, 2}, kLease);
  EXPECT_FALSE(fence.gate_open()) << "the controller may have moved it before it went down";
  EXPECT_EQ(fence.deadline(), Seconds(120) + kAsk);
}

TEST(SelfFence, AtStartWithoutLeaseOrVoteItFencesAfterOneLease) {
  SelfFence fence(Seconds(100));
  EXPECT_EQ(fence.Next(Seconds(119)).action, Action::kAskPeers);
  EXPECT_EQ(fence.Next(Seconds(120) + kAsk).action, Action::kFence);
}

}  // namespace
}  // namespace ember::agent
