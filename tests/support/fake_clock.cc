#include "tests/support/fake_clock.h"

namespace ember::testing {

absl::Time FakeClock::Now() {
  absl::MutexLock lock(&mu_);
  return now_;
}

absl::Duration FakeClock::Monotonic() {
  absl::MutexLock lock(&mu_);
  return monotonic_;
}

bool FakeClock::Sleep(absl::Duration duration, const absl::Notification& stop) {
  absl::MutexLock lock(&mu_);
  const absl::Duration until = monotonic_ + duration;
  while (monotonic_ < until && !stop.HasBeenNotified()) {
    const auto due = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return monotonic_ >= until; };
    mu_.AwaitWithTimeout(absl::Condition(&due), absl::Milliseconds(20));
  }
  return stop.HasBeenNotified();
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mu_);
  now_ += duration;
  monotonic_ += duration;
}

void FakeClock::JumpWall(absl::Duration by) {
  absl::MutexLock lock(&mu_);
  now_ += by;
}

}  // namespace ember::testing
