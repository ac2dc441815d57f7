// The order of what is done to a watchdog; what only a real one can show is that it resets.
#include "node-agent/supervise/host_watchdog.h"

#include <atomic>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using ::testing::ElementsAre;
using testing::Eventually;
using testing::HasCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Done = std::vector<std::string>;

TEST(Watchdog, IsFedOnlyWhereItIsNeededAndNoMoreWhenAStopIsOverdue) {
  EXPECT_EQ(DecideWatchdog(false, false), WatchdogAction::kDisarm);
  EXPECT_EQ(DecideWatchdog(true, false), WatchdogAction::kFeed);
  EXPECT_EQ(DecideWatchdog(true, true), WatchdogAction::kStarve);
}

// Repeated feeding counts once.
class HostWatchdogTest : public ::testing::Test {
 protected:
  class Device final : public WatchdogDevice {
   public:
    explicit Device(HostWatchdogTest* test) : test_(*test) {}
    absl::Status Arm(absl::Duration timeout) override {
      test_.Note(absl::StrCat("arm ", absl::ToInt64Seconds(timeout)));
      return test_.broken_ ? absl::FailedPreconditionError("no watchdog") : absl::OkStatus();
    }
    absl::Status Feed() override {
      test_.Note("feed");
      return absl::OkStatus();
    }
    void Disarm() override { test_.Note("disarm"); }

   private:
    HostWatchdogTest& test_;
  };

  HostWatchdogTest() {
    HostWatchdog::Ports ports;
    ports.clock = &clock_;
    ports.device = std::make_unique<Device>(this);
    ports.fences = [this] {
      ++looks_;
      return fences_.load();
    };
    ports.overdue = [this] { return overdue_.load(); };
    ports.event = [this](absl::string_view, absl::string_view message) {
      absl::MutexLock lock(&mu_);
      events_.emplace_back(message);
    };
    watchdog_ = std::make_unique<HostWatchdog>(std::move(ports));
  }
  void Note(const std::string& what) {
    absl::MutexLock lock(&mu_);
    if (done_.empty() || done_.back() != what) done_.push_back(what);
  }
  Done done() {
    absl::MutexLock lock(&mu_);
    return done_;
  }
  Done events() {
    absl::MutexLock lock(&mu_);
    return events_;
  }
  void Look(int times = 3) {
    const int before = looks_;
    ASSERT_TRUE(Eventually([&] {
      clock_.Advance(absl::Seconds(1));
      return looks_ >= before + times;
    }));
  }

  testing::FakeClock clock_;
  std::atomic<int> looks_{0};
  std::atomic<bool> fences_{false};
  std::atomic<bool> overdue_{false};
  std::atomic<bool> broken_{false};
  absl::Mutex mu_;
  Done done_;
  Done events_;
  std::unique_ptr<HostWatchdog> watchdog_;
};

TEST_F(HostWatchdogTest, IsArmedWhileSomethingFencesItselfHere) {
  watchdog_->Run();
  Look();
  EXPECT_THAT(done(), IsEmpty());
  fences_ = true;
  Look();
  const std::string arm = absl::StrCat("arm ", kWatchdogSeconds);
  EXPECT_THAT(done(), ElementsAre(arm, "feed"));
  fences_ = false;
  Look();
  EXPECT_THAT(done(), ElementsAre(arm, "feed", "disarm"));
}

TEST_F(HostWatchdogTest, IsDisarmedWithItsAgentBecauseTheGuardsGoOn) {
  fences_ = true;
  watchdog_->Run();
  Look();
  watchdog_ = nullptr;
  EXPECT_EQ(done().back(), "disarm");
}

TEST_F(HostWatchdogTest, StarvesForGoodWhenAStopIsOverdue) {
  fences_ = true;
  watchdog_->Run();
  Look();
  overdue_ = true;
  const std::string starve = absl::StrCat("arm ", kWatchdogStarveSeconds);
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return done().back() == starve;
  }));
  overdue_ = false;
  for (int i = 0; i < 5; ++i) clock_.Advance(absl::Seconds(1));
  watchdog_ = nullptr;
  EXPECT_EQ(done().back(), starve) << "neither fed nor disarmed";
}

TEST_F(HostWatchdogTest, SaysOnceThatItProtectsNothing) {
  broken_ = true;
  fences_ = true;
  watchdog_->Run();
  Look(5);
  ASSERT_EQ(events().size(), 1u);
  EXPECT_THAT(events()[0], HasSubstr("no watchdog"));
  broken_ = false;
  ASSERT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(1));
    return done().back() == "feed";
  })) << "tried again";
}

TEST(LinuxWatchdog, AFileIsNone) {
  testing::TempDir dir;
  EXPECT_THAT(OpenWatchdogDevice(dir.Join("nothing"))->Arm(absl::Seconds(60)),
              HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenWatchdogDevice("/dev/null")->Arm(absl::Seconds(60)),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace ember::agent
