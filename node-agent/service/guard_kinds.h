// The two kinds of guard; the list is in guard.cc.
#ifndef EMBER_NODE_AGENT_SERVICE_GUARD_KINDS_H_
#define EMBER_NODE_AGENT_SERVICE_GUARD_KINDS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/file.h"
#include "ember/v1/estate.pb.h"
#include "node-agent/service/guard_record.h"

namespace ember::agent {

// What a guard of either kind is given. The lock is held, SIGTERM and SIGCHLD are blocked.
struct GuardTask {
  std::string state_directory;
  v1::ServiceSpec spec;
  GuardRecord record;                                  // identity filled in, state kStarting
  absl::Duration deadline = absl::InfiniteDuration();  // as it was at the start
  int signals = -1;                                    // signalfd of SIGTERM and SIGCHLD
  std::function<void()> ready;                         // tells who started us that we run
};

// Runs the command to its end. An error: it could not be started, and nothing of it runs.
absl::Status RunExecGuard(GuardTask& task);
// Watches the deadline until SIGTERM, or until it passed and the unit is stopped.
absl::Status RunSystemdGuard(GuardTask& task);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_GUARD_KINDS_H_
