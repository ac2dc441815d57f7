// What supervision touches outside itself.
#ifndef EMBER_NODE_AGENT_SUPERVISE_ENVIRONMENT_H_
#define EMBER_NODE_AGENT_SUPERVISE_ENVIRONMENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/estate.pb.h"
#include "node-agent/service/service.h"

namespace ember::agent {

// Every function is safe for concurrent use.
struct Environment {
  Clock* clock = nullptr;
  std::string directory;  // of the workloads: NAME/record.pb and NAME/service/
  std::function<absl::StatusOr<std::unique_ptr<Service>>(const v1::WorkloadSpec&,
                                                         const std::string& directory)>
      open_service;
  std::function<absl::Status(const v1::WorkloadSpec&, Service*)> probe;
  // OK, or NOT_FOUND "data is missing: PATH". A few stat calls.
  std::function<absl::Status(const v1::WorkloadSpec&)> check_data;
  // Bytes that can still be written where its data are, or would be; 0: not known. Likewise.
  std::function<int64_t(const v1::WorkloadSpec&)> free_bytes;
  // Something happened that the controller should hear of now. Must not block.
  std::function<void()> urgent;
};

// The services, probes and sources of this host. `agent_binary` runs guards.
Environment HostEnvironment(std::string directory, std::string agent_binary, Clock* clock,
                            std::function<void()> urgent);

// What the lease says about self-fencing workloads (node-agent/link/self_fence.h).
struct FenceState {
  std::optional<absl::Duration> deadline;
  bool fenced = false;
  bool gate_open = false;
  bool controller_had_its_say = false;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_ENVIRONMENT_H_
