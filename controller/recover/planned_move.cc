#include "controller/recover/planned_move.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

using State = v1::RecoveryState;
using Action = rec::Candidate;

MoveDecision Decide(MoveDecision::Kind kind, std::string reason) {
  MoveDecision decision;
  decision.kind = kind;
  decision.reason = std::move(reason);
  return decision;
}

MoveDecision To(MoveDecision::Kind kind, const rec::RecoveryRecord& recovery,
                const RecoveryView& view, const BackupChoice& backup) {
  MoveDecision decision = Decide(kind, "");
  decision.candidate.kind = Candidate::kTry;
  decision.candidate.action =
      view.spec.sources().empty() ? Action::START_STANDBY : Action::RESTORE_STANDBY;
  decision.candidate.target = recovery.move_to();
  decision.candidate.backup = backup;
  return decision;
}

// The backup that it waits for, once it is there and good. Else what to do meanwhile, or instead.
MoveDecision AwaitBackup(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                         absl::string_view reason, absl::string_view meanwhile,
                         BackupChoice* backup) {
  if (recovery.run_id().empty()) return Decide(MoveDecision::kBackUp, std::string(reason));
  if (!view.run.ended) return Decide(MoveDecision::kWait, std::string(meanwhile));
  const auto good =
      std::find_if(view.backups.begin(), view.backups.end(),
                   [&](const BackupChoice& choice) { return choice.id == view.run.backup_id; });
  if (good != view.backups.end() && good->reachable) {
    *backup = *good;
    return Decide(MoveDecision::kGo, "");
  }
  const std::string why = !view.run.error.empty()      ? view.run.error
                          : good != view.backups.end() ? "its vault cannot be reached any more"
                          : view.run.backup_id.empty() ? "it was not made"
                                                       : "it is not whole";
  return Decide(
      MoveDecision::kCallOff,
      absl::StrCat("the backup before it",
                   view.run.backup_id.empty() ? "" : absl::StrCat(", ", view.run.backup_id, ","),
                   " failed: ", why));
}

// Everything that makes it pointless, in any of its states.
MoveDecision Obstacle(const rec::RecoveryRecord& recovery, const RecoveryView& view) {
  const std::string& here = view.workload.node();
  const v1::NodeState::Value state = view.StateOf(here);
  if (state == v1::NodeState::DEAD || state == v1::NodeState::REVOKED ||
      state == v1::NodeState::UNKNOWN)
    return Decide(MoveDecision::kDied, absl::StrCat("node ", here, " died while it was moved"));
  if (!recovery.cancelled_by().empty())
    return Decide(MoveDecision::kCallOff, absl::StrCat("cancelled by ", recovery.cancelled_by()));
  if (!view.IsAlive(recovery.move_to())) {
    return Decide(MoveDecision::kCallOff, absl::StrCat("node ", recovery.move_to(), " is silent"));
  }
  const bool runs = recovery.recovery().state() == State::DETECTED;
  if (runs && view.frozen) {
    return Decide(MoveDecision::kCallOff, view.maintenance
                                              ? "the estate is in maintenance"
                                              : "the estate is frozen: too many nodes are silent");
  }
  // What was stopped may not be started while nothing may.
  if (view.frozen)
    return Decide(MoveDecision::kWait, "the estate is frozen: it goes on after the thaw");
  if (runs && !view.IsAlive(here))
    return Decide(MoveDecision::kWait, absl::StrCat("node ", here, " is silent"));
  return Decide(MoveDecision::kGo, "");
}

}  // namespace

MoveDecision DecideMove(const rec::RecoveryRecord& recovery, const RecoveryView& view) {
  MoveDecision next = Obstacle(recovery, view);
  if (next.kind != MoveDecision::kGo) return next;
  const std::string& to = recovery.move_to();
  const bool has_data = !view.spec.sources().empty();
  BackupChoice backup;
  if (recovery.recovery().state() == State::FENCING) {
    if (!view.order_result) return Decide(MoveDecision::kWait, recovery.recovery().message());
    if (view.order_result->state() == v1::OrderUpdate::DONE)
      return Decide(MoveDecision::kStopped, "");
    return Decide(MoveDecision::kCallOff,
                  absl::StrCat("it could not be stopped: ", view.order_result->error()));
  }
  if (recovery.recovery().state() == State::PLANNED) {
    if (has_data) {
      next = AwaitBackup(recovery, view, absl::StrCat("stopped, to be moved to ", to),
                         "backing up what changed since", &backup);
      if (next.kind != MoveDecision::kGo) return next;
    }
    return To(MoveDecision::kGo, recovery, view, backup);
  }
  if (has_data) {
    next = AwaitBackup(recovery, view, absl::StrCat("to be moved to ", to),
                       "backing it up while it runs", &backup);
    if (next.kind != MoveDecision::kGo) return next;
  }
  return To(MoveDecision::kStop, recovery, view, backup);
}

}  // namespace ember::controller
