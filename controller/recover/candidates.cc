// Which way back to try next.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/recover/saga.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

using Action = rec::Candidate;

bool Tried(const rec::RecoveryRecord& recovery, Action::Value action, const std::string& target,
           const std::string& backup) {
  return std::any_of(recovery.tried().begin(), recovery.tried().end(),
                     [&](const rec::Tried& tried) {
                       return tried.candidate() == action && tried.target() == target &&
                              tried.backup_id() == backup;
                     });
}

std::string BackupsFailed(const rec::RecoveryRecord& recovery) {
  std::vector<std::string> lines;
  for (const rec::Tried& tried : recovery.tried()) {
    lines.push_back(absl::StrCat(ActionText(tried.candidate()),
                                 tried.backup_id().empty() ? "" : " of ", tried.backup_id(), " on ",
                                 tried.target(), ": ", tried.result()));
  }
  return absl::StrJoin(lines, "; ");
}

Candidate Try(Action::Value action, const std::string& target, const BackupChoice& backup) {
  Candidate candidate;
  candidate.kind = Candidate::kTry;
  candidate.action = action;
  candidate.target = target;
  candidate.backup = backup;
  return candidate;
}

// Fills in whether a person must say yes first.
Candidate WithApproval(Candidate candidate, const rec::RecoveryRecord& recovery,
                       const RecoveryView& view) {
  if (recovery.approved()) return candidate;
  const v1::RecoverySpec& policy = view.spec.recovery();
  const absl::Duration loss = view.now - candidate.backup.created;
  const bool restores = !candidate.backup.id.empty();
  const std::string& here = view.workload.node();
  if (!view.IsAlive(here) && !FencesItselfWhenSilent(view.spec, view.workload)) {
    candidate.needs_approval = true;
    candidate.reason =
        absl::StrCat("approve only when you are sure that ", here, " does not run it any more");
  } else if (policy.mode() == v1::RecoverySpec::APPROVE) {
    candidate.needs_approval = true;
    candidate.reason = "the workload's recovery mode is 'approve'";
  } else if (restores && policy.max_auto_rpo_seconds() > 0 &&
             loss > absl::Seconds(policy.max_auto_rpo_seconds())) {
    candidate.needs_approval = true;
    candidate.reason = absl::StrCat("the newest good backup is ",
                                    absl::FormatDuration(absl::Trunc(loss, absl::Minutes(1))),
                                    " old, more than max_auto_rpo allows to lose without asking");
  }
  return candidate;
}

Candidate GiveUp(std::string reason) {
  Candidate candidate;
  candidate.reason = std::move(reason);
  return candidate;
}

Candidate Wait(std::string reason) {
  Candidate candidate;
  candidate.kind = Candidate::kWait;
  candidate.reason = std::move(reason);
  return candidate;
}

std::optional<Candidate> TryStandby(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                                    const std::vector<BackupChoice>& usable) {
  // What was moved may move back home.
  std::vector<std::string> nodes(view.spec.recovery().standby().begin(),
                                 view.spec.recovery().standby().end());
  if (!nodes.empty()) nodes.push_back(view.spec.node());
  for (const std::string& node : nodes) {
    if (node == view.workload.node() || !view.IsAlive(node)) continue;
    if (view.spec.sources().empty()) {
      if (!Tried(recovery, Action::START_STANDBY, node, ""))
        return Try(Action::START_STANDBY, node, {});
      continue;
    }
    if (!usable.empty() && !Tried(recovery, Action::RESTORE_STANDBY, node, usable[0].id)) {
      return Try(Action::RESTORE_STANDBY, node, usable[0]);
    }
  }
  return std::nullopt;
}

// Silent for a while, and judged soon: ALIVE again or DEAD.
bool MayReturn(const RecoveryView& view, const std::string& node) {
  const v1::NodeState::Value state = view.StateOf(node);
  return state == v1::NodeState::SUSPECT || state == v1::NodeState::UNREACHABLE;
}

// A standby that may be ALIVE again soon, or empty.
std::string StandbyThatMayReturn(const RecoveryView& view) {
  for (const std::string& node : view.spec.recovery().standby()) {
    if (node != view.workload.node() && MayReturn(view, node)) return node;
  }
  return "";
}

// No vault with a good backup can be reached.
Candidate WithoutBackup(const RecoveryView& view) {
  if (view.backups.empty()) return GiveUp("it has no good backup");
  for (const BackupChoice& backup : view.backups) {
    if (MayReturn(view, backup.vault.node())) {
      return Wait(absl::StrCat("waiting for the vault '", backup.vault.name(), "' with ", backup.id,
                               ": its node ", backup.vault.node(), " is silent"));
    }
  }
  Candidate candidate = GiveUp(absl::StrCat("the vault '", view.backups[0].vault.name(),
                                            "' with its newest backup is on ",
                                            view.backups[0].vault.node(), ", which is not ALIVE"));
  candidate.blocked = true;
  return candidate;
}

std::optional<Candidate> TryInPlace(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                                    const std::vector<BackupChoice>& usable) {
  const std::string& here = view.workload.node();
  const bool data_missing = view.fact && view.fact->data_missing();
  const bool exhausted = view.fact && view.fact->restarts_exhausted();
  if (!data_missing && !exhausted && !Tried(recovery, Action::RESTART_IN_PLACE, here, "")) {
    return Try(Action::RESTART_IN_PLACE, here, {});
  }
  if (!usable.empty() && !Tried(recovery, Action::RESTORE_IN_PLACE, here, usable[0].id)) {
    return Try(Action::RESTORE_IN_PLACE, here, usable[0]);
  }
  return std::nullopt;
}

}  // namespace

bool FencesItselfWhenSilent(const v1::WorkloadSpec& spec, const rec::WorkloadRecord& workload) {
  return spec.recovery().class_() == v1::RecoverySpec::STATELESS || workload.self_fences();
}

std::string DependencyGivenUp(const std::vector<std::string>& names) {
  return absl::StrCat("its dependency ", absl::StrJoin(names, ", "), " could not be recovered");
}

std::string WaitsForDependencies(const std::vector<std::string>& names) {
  return absl::StrCat("waiting for ", absl::StrJoin(names, ", "), " to be verified");
}

absl::string_view ActionText(Action::Value action) {
  switch (action) {
    case Action::RESTART_IN_PLACE: return "restart in place";
    case Action::RESTORE_IN_PLACE: return "restore in place";
    case Action::RESTORE_STANDBY: return "restore on standby";
    case Action::RESTORE_PREVIOUS: return "restore the previous backup";
    case Action::START_STANDBY: return "start on standby";
    default: return "nothing";
  }
}

Candidate ChooseCandidate(const rec::RecoveryRecord& recovery, const RecoveryView& view) {
  if (!view.escalated_dependencies.empty()) {
    Candidate candidate = GiveUp(DependencyGivenUp(view.escalated_dependencies));
    candidate.blocked = true;
    return candidate;
  }
  if (!view.unmet_dependencies.empty()) return Wait(WaitsForDependencies(view.unmet_dependencies));
  const bool here_alive = view.IsAlive(view.workload.node());
  if (here_alive && !view.fact) {
    const absl::Duration waited = view.now - rpc::FromTimestamp(recovery.recovery().started());
    if (waited < absl::Seconds(kRecoveryVerifySeconds))
      return Wait("waiting for its agent to report it");
    return GiveUp(absl::StrCat("the agent of ", view.workload.node(), " does not report it"));
  }
  std::vector<BackupChoice> usable;
  for (const BackupChoice& backup : view.backups) {
    if (backup.reachable) usable.push_back(backup);
  }
  const bool has_data = !view.spec.sources().empty();
  if (here_alive) {
    if (auto in_place = TryInPlace(recovery, view, usable))
      return WithApproval(*in_place, recovery, view);
  }
  if (auto standby = TryStandby(recovery, view, usable))
    return WithApproval(*standby, recovery, view);
  if (here_alive && usable.size() > 1 &&
      !Tried(recovery, Action::RESTORE_PREVIOUS, view.workload.node(), usable[1].id)) {
    return WithApproval(Try(Action::RESTORE_PREVIOUS, view.workload.node(), usable[1]), recovery,
                        view);
  }
  if (!here_alive && view.spec.recovery().standby().empty()) {
    return GiveUp(absl::StrCat("node ", view.workload.node(),
                               " is dead and the workload has no standby node"));
  }
  if (has_data && usable.empty()) return WithoutBackup(view);
  if (const std::string standby = StandbyThatMayReturn(view); !standby.empty())
    return Wait(absl::StrCat("waiting for its standby node ", standby, ", which is silent"));
  if (!here_alive && recovery.tried().empty()) {
    return GiveUp(
        absl::StrCat("node ", view.workload.node(), " is dead and no standby node is ALIVE"));
  }
  if (recovery.tried().empty())
    return GiveUp(absl::StrCat("there is nothing to try: ", recovery.recovery().cause()));
  return GiveUp(absl::StrCat("every way was tried: ", BackupsFailed(recovery)));
}

}  // namespace ember::controller
