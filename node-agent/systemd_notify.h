// Talks to the service manager that started this process (sd_notify(3)); without one, nothing
// happens.
#ifndef EMBER_NODE_AGENT_SYSTEMD_NOTIFY_H_
#define EMBER_NODE_AGENT_SYSTEMD_NOTIFY_H_

#include "absl/time/time.h"

namespace ember::agent {

void NotifyReady();
void NotifyStopping();
void FeedWatchdog();
// How often FeedWatchdog is to be called; InfiniteDuration when no watchdog waits.
absl::Duration WatchdogPeriod();

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SYSTEMD_NOTIFY_H_
