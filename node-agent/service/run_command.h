// A command that is run to its end: a probe, a fence.
#ifndef EMBER_NODE_AGENT_SERVICE_RUN_COMMAND_H_
#define EMBER_NODE_AGENT_SERVICE_RUN_COMMAND_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ember::agent {

// Runs it in a process group of its own, which is gone when this returns. The last line that it
// wrote. UNAVAILABLE: it could not be started, did not end in time or did not end with status 0;
// CANCELLED, soon after `cancelled` (may be null) is set.
absl::StatusOr<std::string> RunCommand(const std::vector<std::string>& command,
                                       absl::Duration timeout, const std::atomic<bool>* cancelled);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_RUN_COMMAND_H_
