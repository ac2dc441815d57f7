#include <string>
#include <vector>

#include "node-agent/probe/probe_kinds.h"
#include "node-agent/service/run_command.h"

namespace ember::agent {

absl::Status ProbeCommand(const v1::CommandProbe& probe, absl::Duration timeout) {
  if (probe.command().empty() || probe.command(0).empty())
    return absl::InvalidArgumentError("health.command: empty");
  return RunCommand({probe.command().begin(), probe.command().end()}, timeout, nullptr).status();
}

}  // namespace ember::agent
