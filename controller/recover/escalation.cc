#include "controller/recover/escalation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

std::string ProbeText(const v1::WorkloadFact& fact) {
  const std::string message =
      fact.probe_message().empty() ? "" : absl::StrCat(": ", fact.probe_message());
  if (fact.consecutive_failures() > 0)
    return absl::StrCat(fact.consecutive_failures(), " failed in a row", message);
  if (!fact.probed()) return absl::StrCat("none since its last start", message);
  return absl::StrCat(fact.healthy() ? "healthy" : "failing", message);
}

bool WasTried(const rec::RecoveryRecord& recovery, const std::string& backup) {
  return std::any_of(recovery.tried().begin(), recovery.tried().end(),
                     [&](const rec::Tried& tried) { return tried.backup_id() == backup; });
}

}  // namespace

std::vector<std::string> Diagnostics(const rec::RecoveryRecord& recovery,
                                     const RecoveryView& view) {
  const std::string& node = view.workload.node();
  const v1::NodeState::Value state = view.StateOf(node);
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("cause: ", recovery.recovery().cause()));
  lines.push_back(absl::StrCat("node ", node, ": ", v1::NodeState::Value_Name(state)));
  for (const rec::Tried& tried : recovery.tried()) {
    lines.push_back(absl::StrCat("tried: ", ActionText(tried.candidate()),
                                 tried.backup_id().empty() ? "" : " of ", tried.backup_id(), " on ",
                                 tried.target(), ": ", tried.result()));
  }
  if (!view.fact) {
    lines.push_back("its agent says nothing about it");
    return lines;
  }
  if (state != v1::NodeState::ALIVE)
    lines.push_back("what follows is what its agent said before it fell silent");
  if (view.fact->data_missing()) lines.push_back("data: missing");
  if (view.fact->has_exit())
    lines.push_back(absl::StrCat("exit status: ", view.fact->exit_status()));
  if (view.fact->restarts() > 0) {
    lines.push_back(absl::StrCat("local restarts: ", view.fact->restarts(),
                                 view.fact->restarts_exhausted() ? ", no more" : ""));
  }
  const bool beats = view.spec.health().heartbeat_millis() > 0;
  lines.push_back(absl::StrCat(beats ? "heartbeats: " : "probes: ",
                               beats ? recovery.recovery().cause() : ProbeText(*view.fact)));
  for (const std::string& line : view.fact->log_tail())
    lines.push_back(absl::StrCat("log: ", line));
  return lines;
}

std::string NextCommand(const rec::RecoveryRecord& recovery, const RecoveryView& view) {
  if (!view.escalated_dependencies.empty())
    return absl::StrCat("ember workload show ", view.escalated_dependencies[0]);
  const std::string& node = view.workload.node();
  if (!view.IsAlive(node) || !view.fact) return absl::StrCat("ember node show ", node);
  const std::string restart = absl::StrCat("ember workload restart ", view.spec.name());
  const bool restored = std::any_of(recovery.tried().begin(), recovery.tried().end(),
                                    [](const rec::Tried& t) { return !t.backup_id().empty(); });
  // Where a restore did not help or nothing is there to start on, older data may.
  if (!view.fact->data_missing() && !restored) return restart;
  for (const BackupChoice& backup : view.backups) {
    if (backup.reachable && !WasTried(recovery, backup.id))
      return absl::StrCat("ember restore ", backup.id);
  }
  if (!view.fact->data_missing()) return restart;
  if (!view.backups.empty() && !view.backups[0].reachable)
    return absl::StrCat("ember node show ", view.backups[0].vault.node());
  return absl::StrCat("ember backup list ", view.spec.name());
}

}  // namespace ember::controller
