// What the orders of the controller do on this host.
#ifndef EMBER_NODE_AGENT_ORDERS_ACTIONS_H_
#define EMBER_NODE_AGENT_ORDERS_ACTIONS_H_

#include <memory>

#include "node-agent/orders/data_plane.h"
#include "node-agent/orders/runner.h"
#include "node-agent/supervise/supervisor.h"

namespace ember::agent {

// `supervisor` must outlive it.
std::unique_ptr<OrderActions> NewOrderActions(Supervisor* supervisor, DataPlane plane);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_ACTIONS_H_
