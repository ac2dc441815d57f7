#include "node-agent/systemd_notify.h"

#include <systemd/sd-daemon.h>

#include <cstdint>

namespace ember::agent {

void NotifyReady() { sd_notify(0, "READY=1"); }
void NotifyStopping() { sd_notify(0, "STOPPING=1"); }
void FeedWatchdog() { sd_notify(0, "WATCHDOG=1"); }

absl::Duration WatchdogPeriod() {
  uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) <= 0) return absl::InfiniteDuration();
  return absl::Microseconds(micros) / 2;  // as sd_watchdog_enabled(3) advises
}

}  // namespace ember::agent
