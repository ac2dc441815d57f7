// What lives of a workload whose guard was killed.
#ifndef EMBER_NODE_AGENT_SERVICE_LEFTOVERS_H_
#define EMBER_NODE_AGENT_SERVICE_LEFTOVERS_H_

#include "absl/status/status.h"
#include "node-agent/service/guard_record.h"

namespace ember::agent {

// Kills everything that is known to belong to the run in `record`: its command, what is in the
// command's session, and what carries the run's mark in its environment. OK when nothing of it is
// left (or it was another boot's); DEADLINE_EXCEEDED when something does not die. The caller holds
// the guard lock, so no guard starts meanwhile.
absl::Status KillLeftovers(const GuardRecord& record);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_LEFTOVERS_H_
