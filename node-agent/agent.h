// The agent of one node: its parts, and how they hang together.
#ifndef EMBER_NODE_AGENT_AGENT_H_
#define EMBER_NODE_AGENT_AGENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace ember::agent {

struct AgentOptions {
  std::string state_directory;
  std::string node;  // empty: the name in the certificate
  std::string em;    // empty: the address stored at join
  std::string listen = "0.0.0.0:7444";
  std::string
      advertise;  // HOST:PORT told to others; empty: the listening port, at the address the EM sees
  std::string agent_binary;  // runs guards
  std::string watchdog;      // a device such as /dev/watchdog; empty: none
  Clock* clock = nullptr;
  // Another live agent has this node's name: this process should end without touching a workload.
  // Must not block.
  std::function<void()> duplicate;
};

class Agent {
 public:
  // Running when OK, whether or not the controller answers. FAILED_PRECONDITION: not joined, or
  // under another name. UNAVAILABLE: the state directory is in use, or the port.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const AgentOptions& options);
  // Stops everything but the workloads. May wait for a slow call of an order or a probe.
  virtual ~Agent() = default;
  virtual int port() const = 0;
  // Reads the identity again.
  virtual absl::Status Reload() = 0;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_AGENT_H_
