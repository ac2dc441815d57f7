// Heartbeats: facts recorded, replies composed. Decides nothing.
#ifndef EMBER_CONTROLLER_FLEET_BEATS_H_
#define EMBER_CONTROLLER_FLEET_BEATS_H_

#include <string>

#include "controller/em_state.h"
#include "ember/v1/agent.pb.h"

namespace ember::controller {

// Records what `node` (the certificate's name) says. Results of orders and agent events are durable
// when OK, and only then acknowledged. PERMISSION_DENIED: the beat names another node.
// `seen_address` is where it came from (HOST).
absl::Status RecordBeat(EmState& em, const std::string& node, const std::string& seen_address,
                        const v1::HeartbeatRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// True when a held beat of `node` should be answered now: orders it has not accepted, cancelled
// ones, a new config.
bool HasNewsFor(EmState& em, const std::string& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The answer to the newest beat recorded of `node`: to be sent, because it grants a lease.
v1::HeartbeatReply ComposeReply(EmState& em, const std::string& node,
                                const v1::HeartbeatRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What `node` must know to go on alone. In an estate of more than kPeersForAllMax nodes those that
// fence nothing themselves get no peers: they ask for no vote.
v1::NodeConfig ConfigFor(EmState& em, const std::string& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
// Its version alone; remembered, because every beat asks for it.
uint64_t ConfigVersionFor(EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_BEATS_H_
