#include "node-agent/probe/probe.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/probe/probe_kinds.h"

namespace ember::agent {
namespace {

absl::Status CheckRunning(Service* service) {
  EMBER_ASSIGN_OR_RETURN(const ServiceStatus status, service->Status());
  if (status.running) return absl::OkStatus();
  if (!status.has_exit) return absl::UnavailableError("not running");
  return absl::UnavailableError(absl::StrCat("not running (exit status ", status.exit_status, ")"));
}

}  // namespace

absl::Status Probe(const v1::WorkloadSpec& spec, Service* service) {
  // Something else may answer on the port of a service that is down.
  if (!spec.service().has_none()) EMBER_RETURN_IF_ERROR(CheckRunning(service));
  const v1::HealthSpec& health = spec.health();
  const absl::Duration timeout = absl::Milliseconds(
      health.timeout_millis() > 0 ? health.timeout_millis() : kProbeTimeoutMillis);
  switch (health.kind_case()) {
    case v1::HealthSpec::kTcp: return ProbeTcp(health.tcp(), timeout);
    case v1::HealthSpec::kHttp: return ProbeHttp(health.http(), timeout);
    case v1::HealthSpec::kCommand: return ProbeCommand(health.command(), timeout);
    case v1::HealthSpec::kProcess:
    case v1::HealthSpec::kHeartbeatMillis:  // the controller watches for beats
    case v1::HealthSpec::KIND_NOT_SET: break;
  }
  return absl::OkStatus();
}

}  // namespace ember::agent
