// Scheduled backups without a controller. Pure.
#ifndef EMBER_NODE_AGENT_ORDERS_OFFLINE_H_
#define EMBER_NODE_AGENT_ORDERS_OFFLINE_H_

#include <vector>

#include "absl/time/time.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// The backups that are due at `now`, of those that the controller has reserved for this: the newest
// of each policy, however many were missed. The same one again is the same order.
std::vector<v1::Order> DueOffline(const v1::NodeConfig& config, absl::Time now);

// So long without a controller, and it is away: others may have been told the same by then.
absl::Duration OfflineAfter(const v1::Settings& settings);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_OFFLINE_H_
