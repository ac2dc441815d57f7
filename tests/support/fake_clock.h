// Time that only tests move.
#ifndef EMBER_TESTS_SUPPORT_FAKE_CLOCK_H_
#define EMBER_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"

namespace ember::testing {

// Starts at 2026-01-01T00:00:00Z. Sleep waits in real time for Advance or `stop`.
class FakeClock : public Clock {
 public:
  absl::Time Now() override;
  absl::Duration Monotonic() override;
  bool Sleep(absl::Duration duration, const absl::Notification& stop) override;
  void Advance(absl::Duration duration);
  void JumpWall(absl::Duration by);  // wall clock only

 private:
  absl::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_) = absl::FromUnixSeconds(1767225600);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mu_) = absl::Seconds(1000);
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_FAKE_CLOCK_H_
