#include "common/base/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace ember {
namespace {

class HostClock : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  absl::Duration Monotonic() override {
    timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return absl::DurationFromTimespec(now);
  }
  bool Sleep(absl::Duration duration, const absl::Notification& stop) override {
    return stop.WaitForNotificationWithTimeout(duration);
  }
};

}  // namespace

Clock* SystemClock() {
  static HostClock* const clock = new HostClock;
  return clock;
}

}  // namespace ember
