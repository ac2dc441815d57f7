// One look at a workload's health. One function per kind; the list is in probe.cc.
#ifndef EMBER_NODE_AGENT_PROBE_PROBE_H_
#define EMBER_NODE_AGENT_PROBE_PROBE_H_

#include <string>

#include "absl/status/status.h"
#include "ember/v1/estate.pb.h"
#include "node-agent/service/service.h"

namespace ember::agent {

// OK: healthy. Else why not, in words for the owner ("tcp 127.0.0.1:6379: connection refused").
// Bounded by the spec's timeout. A heartbeat workload is judged by the controller; here it is healthy while running.
// `service` is the workload's own; a service of kind none counts as running.
absl::Status Probe(const v1::WorkloadSpec& spec, Service* service);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_PROBE_PROBE_H_
