// The kinds of service; the list is in service.cc.
#ifndef EMBER_NODE_AGENT_SERVICE_SERVICE_KINDS_H_
#define EMBER_NODE_AGENT_SERVICE_SERVICE_KINDS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "node-agent/service/service.h"

namespace ember::agent {

// A command, kept by a guard process.
absl::StatusOr<std::unique_ptr<Service>> OpenExecService(const v1::ServiceSpec& spec,
                                                         const ServiceOptions& options);
// A unit of systemd; a guard process watches its deadline when it has one.
absl::StatusOr<std::unique_ptr<Service>> OpenSystemdService(const v1::ServiceSpec& spec,
                                                            const ServiceOptions& options);
// Data without a process: always running.
std::unique_ptr<Service> OpenNoService();

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_SERVICE_KINDS_H_
