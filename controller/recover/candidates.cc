// Which way back to try next.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

// Of the time before the death; `died` is not known of what is still alive.
absl::Duration LossOf(const BackupChoice& backup, const rec::RecoveryRecord& recovery,
                      const RecoveryView& view) {
  const absl::Time end = recovery.has_died() ? rpc::FromTimestamp(recovery.died()) : view.now;
  return std::max(absl::ZeroDuration(), end - backup.created);
}

std::string SizeText(int64_t bytes) {
  const bool large = bytes >= int64_t{1} << 30;
  return absl::StrFormat("%.1f %s", static_cast<double>(bytes) / (large ? 1 << 30 : 1 << 20),
                         large ? "GiB" : "MiB");
}

// Fills in whether a person must say yes first, to what, and why.
Candidate WithApproval(Candidate candidate, const rec::RecoveryRecord& recovery,
                       const RecoveryView& view) {
  const v1::RecoverySpec& policy = view.spec.recovery();
  const std::string& here = view.workload.node();
  std::vector<std::string> reasons;
  if (!view.IsAlive(here) && !FencesItselfWhenSilent(view.spec, view.workload) &&
      !recovery.fence_proven()) {
    reasons.push_back(absl::StrCat(
        "approve only when you are sure that ", here, " does not run it any more",
        view.fence_command.error.empty()
            ? ""
            : absl::StrCat(" (its fence command failed: ", view.fence_command.error, ")")));
  }
  if (policy.mode() == v1::RecoverySpec::APPROVE)
    reasons.push_back("the workload's recovery mode is 'approve'");
  if (!candidate.backup.id.empty()) {
    candidate.data_loss = LossOf(candidate.backup, recovery, view);
    if (policy.max_auto_rpo_seconds() > 0 &&
        candidate.data_loss > absl::Seconds(policy.max_auto_rpo_seconds())) {
      reasons.push_back(
          absl::StrCat("it would lose more than max_auto_rpo (",
                       absl::FormatDuration(absl::Seconds(policy.max_auto_rpo_seconds())), ")"));
    }
  }
  if (reasons.empty() || IsApproved(recovery, candidate)) return candidate;
  candidate.needs_approval = true;
  candidate.reason = absl::StrCat(ActionText(candidate.action), " on ", candidate.target);
  if (!candidate.backup.id.empty()) {
    absl::StrAppend(&candidate.reason, " from ", candidate.backup.id, ", losing the last ",
                    LossText(candidate.data_loss));
  }
  absl::StrAppend(&candidate.reason, ": ", absl::StrJoin(reasons, "; "));
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

// What it must be with, and that has no place yet.
std::string CompanyThatMoves(const RecoveryView& view) {
  for (const std::string& name : view.spec.recovery().with()) {
    if (view.moving.count(name) > 0) return name;
  }
  return "";
}

// Where it may move. What was moved may move back home.
std::vector<std::string> OtherPlaces(const RecoveryView& view) {
  std::vector<std::string> nodes(view.spec.recovery().standby().begin(),
                                 view.spec.recovery().standby().end());
  if (!nodes.empty()) nodes.push_back(view.spec.node());
  std::erase(nodes, view.workload.node());
  return nodes;
}

std::optional<Candidate> TryStandby(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                                    const std::vector<BackupChoice>& usable) {
  for (const std::string& node : OtherPlaces(view)) {
    if (!view.IsAlive(node)) continue;
    const int64_t size = usable.empty() ? 0 : usable[0].size_bytes;
    if (!RuledOut(view, node, size).empty()) continue;
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

// Its other nodes live, and it may go to none of them; empty when that is not the reason.
std::string NoPlaceFor(const RecoveryView& view, const std::vector<BackupChoice>& usable) {
  std::vector<std::string> reasons;
  for (const std::string& node : OtherPlaces(view)) {
    if (!view.IsAlive(node)) continue;
    const std::string why = RuledOut(view, node, usable.empty() ? 0 : usable[0].size_bytes);
    if (why.empty()) return "";
    reasons.push_back(absl::StrCat("not to ", node, ": ", why));
  }
  return absl::StrJoin(reasons, "; ");
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

bool IsApproved(const rec::RecoveryRecord& recovery, const Candidate& candidate) {
  const rec::Tried& asked = recovery.asked();
  return recovery.approved() && asked.candidate() == candidate.action &&
         asked.target() == candidate.target && asked.backup_id() == candidate.backup.id;
}

std::string RuledOut(const RecoveryView& view, const std::string& node, int64_t backup_bytes) {
  if (view.drained.count(node) > 0) return "it is drained";
  for (const auto& [name, place] : view.places) {
    const auto& apart = view.spec.recovery().apart();
    const bool together = std::find(apart.begin(), apart.end(), name) == apart.end();
    if (together && place != node) return absl::StrCat("'", name, "' is on ", place);
    if (!together && place == node) return absl::StrCat("'", name, "' is there");
  }
  const auto found = view.rooms.find(node);
  if (found == view.rooms.end()) return "";
  const Room& room = found->second;
  // Without how much is free, which is ever different: the same reason again is no news.
  if (room.memory_bytes > 0 && room.memory_bytes < view.spec.recovery().memory_bytes()) {
    return absl::StrCat("it needs ", SizeText(view.spec.recovery().memory_bytes()),
                        " of memory, more than is free");
  }
  if (room.data_bytes > 0 && room.data_bytes < backup_bytes) {
    return absl::StrCat("its data need ", SizeText(backup_bytes), ", more than is free");
  }
  return "";
}

std::string LossText(absl::Duration loss) {
  const absl::Duration unit = loss < absl::Minutes(2) ? absl::Seconds(1) : absl::Minutes(1);
  return absl::FormatDuration(std::max(absl::Seconds(1), absl::Trunc(loss, unit)));
}

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
  // What was stopped here was stopped to be moved.
  const bool stopped = recovery.fence_proven();
  std::optional<Candidate> in_place =
      here_alive ? TryInPlace(recovery, view, usable) : std::nullopt;
  if (in_place && !stopped) return WithApproval(*in_place, recovery, view);
  if (auto standby = TryStandby(recovery, view, usable))
    return WithApproval(*standby, recovery, view);
  if (in_place) return WithApproval(*in_place, recovery, view);
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
  if (const std::string reason = NoPlaceFor(view, usable); !here_alive && !reason.empty()) {
    if (const std::string name = CompanyThatMoves(view); !name.empty())
      return Wait(absl::StrCat("waiting until '", name, "', which it must be with, has a place"));
    Candidate candidate = GiveUp(
        absl::StrCat("node ", view.workload.node(), " is dead and it may move nowhere: ", reason));
    candidate.blocked = true;
    return candidate;
  }
  if (!here_alive && recovery.tried().empty()) {
    return GiveUp(
        absl::StrCat("node ", view.workload.node(), " is dead and no standby node is ALIVE"));
  }
  if (recovery.tried().empty())
    return GiveUp(absl::StrCat("there is nothing to try: ", recovery.recovery().cause()));
  return GiveUp(absl::StrCat("every way was tried: ", BackupsFailed(recovery)));
}

}  // namespace ember::controller
