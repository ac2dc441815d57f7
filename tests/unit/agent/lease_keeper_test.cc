#include "node-agent/link/lease_keeper.h"

#include <atomic>
#include <vector>

#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"

namespace ember::agent {
namespace {

using testing::Eventually;

class LeaseKeeperTest : public ::testing::Test {
 protected:
  LeaseKeeperTest() {
    LeaseKeeper::Ports ports;
    ports.clock = &clock_;
    ports.ask_peers = [this](absl::Duration) {
      ++asked_;
      return Vote{2, without_lease_.load()};
    };
    ports.has_self_fencing = [this] {
      ++looks_;
      return has_self_fencing_.load();
    };
    ports.apply = [this](const FenceState& state) {
      absl::MutexLock lock(&mu_);
      state_ = state;
    };
    ports.controller_is_up = [this] { ++dialled_; };
    ports.event = [this](absl::string_view, absl::string_view) { ++events_; };
    keeper_ = std::make_unique<LeaseKeeper>(std::move(ports));
  }
  // The first look at the lease comes at once.
  void Run() { keeper_->Run(); }
  FenceState state() {
    absl::MutexLock lock(&mu_);
    return state_;
  }
  // Time goes on a little at a time, and never more than a second ahead of the keeper's last look.
  bool EventuallyAsTimePasses(const std::function<bool()>& condition) {
    int seen = looks_;
    int steps = 0;
    return Eventually([&] {
      if (seen != looks_) {
        seen = looks_;
        steps = 0;
      }
      if (steps++ < 10) clock_.Advance(absl::Milliseconds(100));
      return condition();
    });
  }

  testing::FakeClock clock_;
  const absl::Duration started_ = clock_.Monotonic();
  std::atomic<int> asked_{0};
  std::atomic<int> looks_{0};
  std::atomic<int> without_lease_{0};
  std::atomic<bool> has_self_fencing_{true};
  std::atomic<int> events_{0};
  std::atomic<int> dialled_{0};
  absl::Mutex mu_;
  FenceState state_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<LeaseKeeper> keeper_;
};

TEST_F(LeaseKeeperTest, AGrantIsInForceWhenItReturns) {
  Run();
  const absl::Duration sent = clock_.Monotonic();
  keeper_->Granted(sent, absl::Seconds(20));
  EXPECT_TRUE(keeper_->HasLease());
  EXPECT_TRUE(state().gate_open);
  EXPECT_EQ(state().deadline, sent + absl::Seconds(20 + kSelfFenceSeconds - kSelfFenceKillSeconds));
}

TEST_F(LeaseKeeperTest, AReplyThatComesAfterItsOwnLeaseIsWorthNothing) {
  Run();
  keeper_->Granted(clock_.Monotonic() - absl::Seconds(21), absl::Seconds(20));
  EXPECT_FALSE(keeper_->HasLease());
  EXPECT_FALSE(state().gate_open);
}

TEST_F(LeaseKeeperTest, InAMinorityItFencesSaysSoAndALeaseEndsIt) {
  Run();
  keeper_->Granted(clock_.Monotonic(), absl::Seconds(20));
  ASSERT_TRUE(EventuallyAsTimePasses([&] { return state().fenced; }));
  EXPECT_FALSE(keeper_->HasLease());
  EXPECT_GE(asked_, 2);
  EXPECT_EQ(events_, 1);
  EXPECT_GE(dialled_, 2) << "the peers hold a lease, so somebody gave it to them";
  keeper_->Granted(clock_.Monotonic(), absl::Seconds(20));
  EXPECT_FALSE(state().fenced);
  EXPECT_TRUE(state().gate_open);
}

TEST_F(LeaseKeeperTest, WhileTheControllerIsDownForTheMajorityItRunsOn) {
  Run();
  without_lease_ = 1;
  keeper_->Granted(clock_.Monotonic(), absl::Seconds(20));
  const absl::Duration until = clock_.Monotonic() + absl::Seconds(50);
  ASSERT_TRUE(EventuallyAsTimePasses([&] { return clock_.Monotonic() > until; }));
  EXPECT_FALSE(state().fenced);
  EXPECT_FALSE(keeper_->HasLease());
  EXPECT_GT(*state().deadline, until);
  EXPECT_EQ(dialled_, 0);
  without_lease_ = 0;
  EXPECT_TRUE(EventuallyAsTimePasses([&] { return state().fenced; }))
      << "the others have a controller again";
}

// No time passes after the vote: the guard of a service may be a moment from its deadline.
TEST_F(LeaseKeeperTest, AVoteIsInForceBeforeAnythingIsWaitedFor) {
  without_lease_ = 1;
  const absl::Duration sent = clock_.Monotonic();
  keeper_->Granted(sent, absl::Seconds(20));
  clock_.Advance(absl::Seconds(20 + kSelfFenceSeconds - kSelfFenceKillSeconds - 1));
  const absl::Duration asked = clock_.Monotonic();
  Run();
  EXPECT_TRUE(Eventually([&] { return state().deadline > asked + absl::Seconds(20); }));
}

TEST_F(LeaseKeeperTest, AControllerThatIsSilentForTheTimeOfABeatHadItsSay) {
  has_self_fencing_ = false;
  Run();
  ASSERT_TRUE(EventuallyAsTimePasses(
      [&] { return clock_.Monotonic() - started_ > absl::Seconds(kBeatDeadlineSeconds + 1); }));
  EXPECT_FALSE(state().controller_had_its_say) << "no beat has failed yet";
  keeper_->Unanswered();
  EXPECT_TRUE(EventuallyAsTimePasses([&] { return state().controller_had_its_say; }));
  EXPECT_FALSE(state().gate_open);
}

TEST_F(LeaseKeeperTest, ANodeThatIsRefusedWaitsOn) {
  has_self_fencing_ = false;
  keeper_->Unanswered();
  keeper_->Refused();
  Run();
  ASSERT_TRUE(EventuallyAsTimePasses(
      [&] { return clock_.Monotonic() - started_ > absl::Seconds(2 * kBeatDeadlineSeconds); }));
  EXPECT_FALSE(state().controller_had_its_say);
  keeper_->Granted(clock_.Monotonic(), absl::Seconds(20));
  EXPECT_TRUE(state().controller_had_its_say) << "it was enrolled again";
  keeper_->Refused();
  EXPECT_FALSE(state().controller_had_its_say) << "in force at once";
  EXPECT_FALSE(state().gate_open);
}

TEST_F(LeaseKeeperTest, NobodyIsAskedWhenNothingFencesItself) {
  has_self_fencing_ = false;
  Run();
  keeper_->Granted(clock_.Monotonic(), absl::Seconds(20));
  const absl::Duration until = clock_.Monotonic() + absl::Seconds(30);
  ASSERT_TRUE(EventuallyAsTimePasses([&] { return clock_.Monotonic() > until; }));
  EXPECT_EQ(asked_, 0);
  EXPECT_FALSE(state().fenced);
}

}  // namespace
}  // namespace ember::agent
