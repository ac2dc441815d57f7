// The agent's side of a guard.
#ifndef EMBER_NODE_AGENT_SERVICE_GUARD_CLIENT_H_
#define EMBER_NODE_AGENT_SERVICE_GUARD_CLIENT_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "ember/v1/estate.pb.h"
#include "node-agent/service/service.h"

namespace ember::agent {

// A guard of `spec` runs when OK, and with it the command. One that is about to end is awaited for
// `patience` and replaced. FAILED_PRECONDITION with the reason when the command does not start, or
// when the deadline has passed.
absl::Status EnsureGuard(const v1::ServiceSpec& spec, const ServiceOptions& options,
                         absl::Duration patience);

// Neither the guard nor anything of its command lives when OK. The guard gets TERM, and `patience`
// and a margin later KILL.
absl::Status StopGuard(const ServiceOptions& options, absl::Duration patience);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_GUARD_CLIENT_H_
