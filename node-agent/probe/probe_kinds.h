// The probes that look from outside; the list is in probe.cc.
#ifndef EMBER_NODE_AGENT_PROBE_PROBE_KINDS_H_
#define EMBER_NODE_AGENT_PROBE_PROBE_KINDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "ember/v1/estate.pb.h"

namespace ember::agent {

// Each is OK when healthy, else UNAVAILABLE with "tcp TARGET: why"; INVALID_ARGUMENT when the
// target has not the right form. None takes longer than `timeout`.

// `target` is HOST:PORT or [IPV6]:PORT; healthy when any address of the host accepts a connection.
absl::Status ProbeTcp(const std::string& target, absl::Duration timeout);
// Healthy when a GET is answered with 2xx or 3xx. Redirects are not followed, certificates not
// checked: what is asked is whether the service answers, and most in a home have certificates that
// only their owner trusts.
absl::Status ProbeHttp(const std::string& url, absl::Duration timeout);
// Healthy when it exits with 0. At the time-out its process group is killed.
absl::Status ProbeCommand(const v1::CommandProbe& probe, absl::Duration timeout);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_PROBE_PROBE_KINDS_H_
