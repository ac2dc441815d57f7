// The one door to time. Nothing else reads a clock or sleeps.
#ifndef EMBER_COMMON_BASE_CLOCK_H_
#define EMBER_COMMON_BASE_CLOCK_H_

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace ember {

// Safe for concurrent use.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock; may jump.
  virtual absl::Time Now() = 0;
  // Time since an arbitrary start on this host, never goes back, counts suspend (CLOCK_BOOTTIME). Comparable between
  // processes of one boot.
  virtual absl::Duration Monotonic() = 0;
  // Returns after `duration`, or at once when `stop` is notified; true when it was notified.
  virtual bool Sleep(absl::Duration duration, const absl::Notification& stop) = 0;
};

// The host's clocks. Never destroyed.
Clock* SystemClock();

}  // namespace ember

#endif  // EMBER_COMMON_BASE_CLOCK_H_
