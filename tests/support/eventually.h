// Waiting for what other processes do, as long as it takes and no longer.
#ifndef EMBER_TESTS_SUPPORT_EVENTUALLY_H_
#define EMBER_TESTS_SUPPORT_EVENTUALLY_H_

#include <functional>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace ember::testing {

// True as soon as `condition` holds; false when it has not within `limit`, which only a failing
// test reaches.
inline bool Eventually(const std::function<bool()>& condition,
                       absl::Duration limit = absl::Seconds(20)) {
  const absl::Notification never;
  const absl::Duration until = SystemClock()->Monotonic() + limit;
  while (!condition()) {
    if (SystemClock()->Monotonic() > until) return false;
    SystemClock()->Sleep(absl::Milliseconds(5), never);
  }
  return true;
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_EVENTUALLY_H_
