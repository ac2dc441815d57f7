#include "controller/recover/saga.h"

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/recover/escalation.h"
#include "controller/recover/planned_move.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

using State = v1::RecoveryState;
using Action = rec::Candidate;

std::string Seconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(100)));
}

bool Restores(Action::Value action) {
  return action == Action::RESTORE_IN_PLACE || action == Action::RESTORE_STANDBY ||
         action == Action::RESTORE_PREVIOUS;
}

bool Moves(Action::Value action) {
  return action == Action::RESTORE_STANDBY || action == Action::START_STANDBY;
}

// The working copy of one step.
class Step {
 public:
  Step(const rec::RecoveryRecord& recovery, const RecoveryView& view) : view_(view) {
    out_.recovery = recovery;
    out_.workload = view.workload;
  }

  RecoveryStepResult Run() {
    const State::Value state = out_.recovery.recovery().state();
    if (!IsOpen(state)) return std::move(out_);
    Advance(state);
    HoldForDependencies();
    return std::move(out_);
  }

  RecoveryStepResult RunToEscalation(const std::string& why) {
    Escalate(why, false);
    return std::move(out_);
  }

 private:
  void Advance(State::Value state) {
    if (!out_.recovery.move_to().empty()) return Moving();
    if (state == State::PLANNED || state == State::APPROVAL || state == State::FROZEN)
      ForgetFenceOfReturned();
    if (view_.frozen && MustFreeze(state)) return Freeze();
    // A frozen estate starts nothing: what is restored waits for the thaw.
    if (view_.frozen && state == State::RESTORING) return;
    switch (state) {
      case State::DETECTED: Detected(); break;
      case State::FENCING: Fencing(); break;
      case State::PLANNED: Planned(); break;
      case State::APPROVAL: Approval(); break;
      case State::RESTORING: Restoring(); break;
      case State::STARTING: Starting(); break;
      case State::VERIFYING: Verifying(); break;
      case State::FROZEN: Frozen(); break;
      case State::UNKNOWN:
      case State::DONE:
      case State::ESCALATED:
      case State::CANCELLED:
      default: break;
    }
  }

  // What died is not started, not even by its agent, before what it depends on is verified. What
  // is healthy meanwhile, or may be, is not stopped for that.
  void HoldForDependencies() {
    const State::Value state = recovery().state();
    const bool met = view_.unmet_dependencies.empty();
    const bool stopped = view_.judgement.health == Health::kDead || out_.recovery.fence_proven() ||
                         !out_.recovery.tried().empty();
    if (state == State::PLANNED && !met && stopped) return Hold(true);
    // What waits for a person or a thaw may come back by itself again. Then no fence is proven.
    const bool waits = state == State::APPROVAL || state == State::FROZEN;
    if (!waits || !met || !out_.workload.hold_recovery() || !out_.recovery.tried().empty()) return;
    out_.recovery.set_fence_proven(false);
    Hold(false);
  }

  void Hold(bool hold) {
    out_.changed = out_.changed || out_.workload.hold_recovery() != hold;
    out_.workload.set_hold_recovery(hold);
  }

  v1::Recovery& recovery() { return *out_.recovery.mutable_recovery(); }

  // A planned move of which nothing has failed, and in which nobody died.
  bool AsPlanned() const {
    return out_.recovery.recovery().planned() && out_.recovery.tried().empty() &&
           !out_.recovery.node_death();
  }

  void Enter(State::Value state, std::string message) {
    out_.changed = true;
    recovery().set_state(state);
    recovery().set_message(message);
    v1::RecoveryStep* step = recovery().add_steps();
    *step->mutable_time() = rpc::ToTimestamp(view_.now);
    step->set_state(state);
    step->set_message(message);
    // Nothing had died.
    const std::string type = AsPlanned() && state == State::DETECTED ? "moving"
                             : AsPlanned() && state == State::DONE
                                 ? "moved"
                                 : absl::AsciiStrToLower(State::Value_Name(state));
    out_.events.push_back({absl::StrCat("recovery.", type), message});
  }

  bool MustFreeze(State::Value state) const {
    return state == State::DETECTED || state == State::PLANNED || state == State::APPROVAL ||
           (state == State::FENCING && out_.recovery.order_id().empty());
  }

  // A new reason to wait in the same state is worth a line; the same reason again is not.
  void StayBecause(const std::string& message) {
    if (recovery().message() == message) return;
    Enter(recovery().state(), message);
  }

  void Freeze() {
    out_.recovery.set_before_frozen(recovery().state());
    Enter(State::FROZEN, view_.maintenance ? "the estate is in maintenance"
                                           : "the estate is frozen: too many nodes are silent");
  }

  void Frozen() {
    if (HealthyAgain()) return;
    if (view_.frozen) return;
    Enter(out_.recovery.before_frozen(), "recovery goes on");
  }

  // Before what it depends on is verified, being up says little.
  bool HealthyAgain() {
    if (view_.judgement.health != Health::kHealthy || !view_.unmet_dependencies.empty())
      return false;
    Finish(State::DONE, "healthy again by itself");
    return true;
  }

  void Detected() {
    if (HealthyAgain()) return;
    if (out_.recovery.node_death()) {
      const bool removed = view_.StateOf(recovery().node()) == v1::NodeState::REVOKED;
      Enter(State::FENCING,
            absl::StrCat("node ", recovery().node(), removed ? " was removed" : " is dead",
                         ": proving that nothing runs there"));
    } else {
      Enter(State::PLANNED, absl::StrCat("looking for a way back: ", recovery().cause()));
    }
  }

  void Fencing() {
    if (!out_.recovery.order_id().empty()) return StopBeforeMove();
    if (view_.IsAlive(recovery().node())) {
      out_.recovery.set_node_death(false);
      Enter(State::PLANNED, absl::StrCat("node ", recovery().node(), " is back"));
      return;
    }
    if (view_.spec.recovery().class_() == v1::RecoverySpec::STATELESS)
      return Fenced("it is stateless and may run twice");
    if (FencesItself() && view_.fence_by_lease)
      return Fenced("its lease, self-fence time and margin have passed");
    const FenceCommand& command = view_.fence_command;
    if (!command.proof.empty()) return Fenced(command.proof);
    if (FencesItself() && !view_.fence_unprovable)
      return StayBecause("waiting until the node's lease and self-fence time are over");
    if (command.open) {
      return StayBecause(absl::StrCat(
          "waiting until the fence command of ", recovery().node(), " says that it is off",
          command.error.empty() ? "" : absl::StrCat("; last: ", command.error)));
    }
    if (!FencesItself()) {
      // Nothing proves that it stopped: only a person can say so, and is asked for it in PLANNED.
      return Enter(State::PLANNED, absl::StrCat("no proof that it stopped on ", recovery().node()));
    }
    Escalate(
        absl::StrCat("nothing proves that it stopped on ", recovery().node(),
                     ", so it was not started elsewhere: most of the nodes it knew are removed, "
                     "dead or switched off, and with them it may take the controller for down"),
        true);
    out_.recovery.set_fence_unproven(true);
  }

  void Fenced(const std::string& proof) {
    SetFence(proof);
    Enter(State::PLANNED, absl::StrCat("fenced: ", proof));
  }

  void SetFence(const std::string& proof) {
    out_.recovery.set_fence_proven(true);
    recovery().set_fence_proof(proof);
    *out_.recovery.mutable_fenced() = rpc::ToTimestamp(view_.now);
    recovery().set_fence_seconds(SecondsSince(recovery().started()));
  }

  // How long ago that was.
  double SecondsSince(const google::protobuf::Timestamp& instant) const {
    return absl::ToDoubleSeconds(view_.now - rpc::FromTimestamp(instant));
  }

  bool IsGone(const std::string& node) const {
    const v1::NodeState::Value state = view_.StateOf(node);
    return view_.nodes.count(node) == 0 || state == v1::NodeState::DEAD ||
           state == v1::NodeState::REVOKED;
  }

  bool FencesItself() const { return FencesItselfWhenSilent(view_.spec, out_.workload); }

  // The place that must be fenced is now `node`, which died. Nobody has said yes to that.
  void FenceAnew(const std::string& node, const std::string& message) {
    if (!out_.recovery.order_id().empty()) out_.abandoned_order = out_.recovery.order_id();
    out_.recovery.clear_order_id();
    recovery().set_node(node);
    out_.recovery.set_node_death(true);
    out_.recovery.set_fence_proven(false);
    if (!FencesItself()) out_.recovery.set_approved(false);
    Enter(State::FENCING, message);
  }

  void StopBeforeMove() {
    if (!view_.order_result) {
      const std::string& here = view_.workload.node();
      if (IsGone(here)) FenceAnew(here, absl::StrCat("node ", here, " died before it was stopped"));
      return;
    }
    TakeOrder();
    if (view_.order_result->state() != v1::OrderUpdate::DONE) {
      return Escalate(
          absl::StrCat("it could not be stopped on ", view_.workload.node(),
                       ", so it was not started elsewhere: ", view_.order_result->error()),
          false);
    }
    Fenced(absl::StrCat("stopped by the agent of ", view_.workload.node()));
  }

  // Fenced with its node, which has been back since, seen or not: it may run there again. What was
  // approved of a dead node is not of this one.
  void ForgetFenceOfReturned() {
    if (!out_.recovery.node_death()) return;
    const std::string& here = view_.workload.node();
    const bool unseen =
        out_.recovery.fence_proven() &&
        (!IsGone(here) || view_.gone_since > rpc::FromTimestamp(out_.recovery.fenced()));
    if (!view_.IsAlive(here) && !unseen) return;
    out_.recovery.set_node_death(false);
    out_.recovery.set_fence_proven(false);
    if (out_.recovery.recovery().state() != State::APPROVAL) out_.recovery.set_approved(false);
    out_.changed = true;
  }

  void Moving() {
    const MoveDecision next = DecideMove(out_.recovery, view_);
    switch (next.kind) {
      case MoveDecision::kWait: return StayBecause(next.reason);
      case MoveDecision::kBackUp:
        out_.backup_reason = next.reason;
        out_.changed = true;
        return;
      case MoveDecision::kStop: return FenceForMove(next.candidate);
      case MoveDecision::kStopped:
        TakeOrder();
        out_.recovery.clear_run_id();
        return Fenced(absl::StrCat("stopped by the agent of ", view_.workload.node()));
      case MoveDecision::kGo:
        if (Restores(next.candidate.action) && !HasSlot(next.candidate))
          return StayBecause("waiting for another restore to end");
        return Begin(next.candidate);
      case MoveDecision::kCallOff: return CallOff(next.reason);
      case MoveDecision::kDied: return Overtaken(next.reason);
    }
  }

  void CallOff(const std::string& why) {
    out_.recovery.clear_move_to();
    recovery().set_target(view_.workload.node());
    out_.start_again = recovery().state() != State::DETECTED;
    Finish(State::CANCELLED,
           absl::StrCat("called off, it stays on ", view_.workload.node(), ": ", why));
    out_.workload.set_last_recovery(recovery().id());
  }

  // What was written up to now, or up to its stop, is what can be lost.
  void Overtaken(const std::string& why) {
    *out_.recovery.mutable_died() =
        out_.recovery.fence_proven() ? out_.recovery.fenced() : rpc::ToTimestamp(view_.now);
    out_.recovery.clear_move_to();
    out_.recovery.clear_run_id();
    FenceAnew(view_.workload.node(), why);
  }

  void Planned() {
    if (HealthyAgain()) return;
    const Candidate candidate = ChooseCandidate(out_.recovery, view_);
    switch (candidate.kind) {
      case Candidate::kWait: return StayBecause(candidate.reason);
      case Candidate::kGiveUp: return Escalate(candidate.reason, candidate.blocked);
      case Candidate::kTry: break;
    }
    if (candidate.needs_approval) {
      Enter(State::APPROVAL, absl::StrCat("waiting for approval: ", candidate.reason));
      recovery().set_backup_id(candidate.backup.id);
      recovery().set_target(candidate.target);
      recovery().set_data_loss_seconds(absl::ToDoubleSeconds(candidate.data_loss));
      // Only to this: what is tried after it fails is another question.
      rec::Tried* asked = out_.recovery.mutable_asked();
      asked->set_candidate(candidate.action);
      asked->set_target(candidate.target);
      asked->set_backup_id(candidate.backup.id);
      out_.recovery.set_approved(false);
      recovery().set_next_command(absl::StrCat("ember recovery approve ", recovery().id()));
      return;
    }
    if (Restores(candidate.action) && !HasSlot(candidate))
      return StayBecause("waiting for another restore to end");
    const bool needs_stop = Moves(candidate.action) && !out_.recovery.fence_proven();
    if (needs_stop) return FenceForMove(candidate);
    Begin(candidate);
  }

  void Approval() {
    if (HealthyAgain()) return;
    if (!out_.recovery.approved()) return;
    recovery().clear_next_command();
    Enter(State::PLANNED, "approved");
  }

  bool HasSlot(const Candidate& candidate) const {
    const auto count = [](const std::map<std::string, int>& restores, const std::string& name) {
      const auto it = restores.find(name);
      return it == restores.end() ? 0 : it->second;
    };
    return view_.slot_free && count(view_.restoring_to, candidate.target) < kRecoveriesPerTarget &&
           count(view_.restoring_from, candidate.backup.vault.name()) < kRecoveriesPerVault;
  }

  void FenceForMove(const Candidate& candidate) {
    const std::string& here = view_.workload.node();
    if (!view_.IsAlive(here)) {
      const bool approved = out_.recovery.node_death() && IsApproved(out_.recovery, candidate);
      if (FencesItself() || !approved) {
        return FenceAnew(
            here, absl::StrCat("node ", here, " is silent: proving that nothing runs there"));
      }
      SetFence(absl::StrCat("a person approved it, knowing that ", here, " is silent"));
      return Begin(candidate);
    }
    out_.workload.set_hold_recovery(true);
    v1::Order order = NewOrder("stop", view_.workload.epoch());
    order.mutable_stop();
    Send(std::move(order), view_.workload.node());
    Enter(State::FENCING, absl::StrCat("stopping it on ", view_.workload.node(), " before ",
                                       ActionText(candidate.action), " ", candidate.target));
  }

  void Begin(const Candidate& candidate) {
    out_.recovery.set_candidate(candidate.action);
    recovery().set_target(candidate.target);
    recovery().set_backup_id(candidate.backup.id);
    recovery().set_data_loss_seconds(absl::ToDoubleSeconds(candidate.data_loss));
    if (recovery().plan_seconds() == 0) {
      recovery().set_plan_seconds(
          SecondsSince(out_.recovery.has_fenced() ? out_.recovery.fenced() : recovery().started()));
    }
    out_.workload.set_hold_recovery(true);
    if (Moves(candidate.action)) {
      NoteLeftData(out_.recovery, view_, candidate.target, &out_.workload);
      out_.workload.set_node(candidate.target);
      out_.workload.set_epoch(out_.workload.epoch() + 1);
      out_.workload.set_self_fences(false);
    }
    out_.recovery.set_epoch(out_.workload.epoch());
    out_.recovery.clear_move_to();
    if (!Restores(candidate.action))
      return SendStart(absl::StrCat(ActionText(candidate.action), ": ", candidate.target));
    v1::Order order = NewOrder("restore", out_.recovery.epoch());
    v1::RestoreOrder* restore = order.mutable_restore();
    restore->set_backup_id(candidate.backup.id);
    *restore->mutable_vault() = candidate.backup.vault;
    restore->set_domain_id(candidate.backup.domain_id);
    *restore->mutable_spec() = view_.spec;
    *out_.recovery.mutable_restore_started() = rpc::ToTimestamp(view_.now);
    Send(std::move(order), candidate.target);
    const bool nothing = candidate.data_loss == absl::ZeroDuration();
    Enter(State::RESTORING,
          absl::StrCat(
              "restoring ", candidate.backup.id, " on ", candidate.target,
              AsPlanned() ? " (nothing is lost)"
              : nothing   ? " (as it was when it was stopped)"
                          : absl::StrCat(" (what was written in the last ",
                                         LossText(candidate.data_loss), " before it died is lost)")));
  }

  void Restoring() {
    if (TargetDied()) return;
    if (out_.recovery.order_id().empty()) return StartRestored("its data is restored");
    if (!view_.order_result) return;
    TakeOrder();
    const v1::OrderUpdate& result = *view_.order_result;
    if (result.state() != v1::OrderUpdate::DONE) {
      const bool damaged = result.code() == static_cast<int>(absl::StatusCode::kDataLoss);
      return TryNext(absl::StrCat("restore failed: ", result.error()), damaged);
    }
    *out_.recovery.mutable_restore_ended() = rpc::ToTimestamp(view_.now);
    recovery().set_restore_seconds(SecondsSince(out_.recovery.restore_started()));
    for (const std::string& copy : result.restore().safety_copies())
      recovery().add_safety_copies(copy);
    StartRestored(absl::StrCat("restored ", result.restore().files(), " files"));
  }

  // What it depends on may have died while it was restored. That keeps nobody else from restoring.
  void StartRestored(const std::string& done) {
    if (!view_.escalated_dependencies.empty())
      return Escalate(DependencyGivenUp(view_.escalated_dependencies), true);
    if (view_.unmet_dependencies.empty()) return SendStart(absl::StrCat(done, ", starting it"));
    const std::string why = WaitsForDependencies(view_.unmet_dependencies);
    StayBecause(absl::StrCat("its data is restored; ", why));
  }

  void SendStart(std::string message) {
    v1::Order order = NewOrder("start", out_.recovery.epoch());
    *order.mutable_start()->mutable_spec() = view_.spec;
    order.mutable_start()->set_fresh(true);
    *out_.recovery.mutable_start_sent() = rpc::ToTimestamp(view_.now);
    Send(std::move(order), recovery().target());
    out_.workload.set_hold_recovery(false);
    Enter(State::STARTING, std::move(message));
  }

  void Starting() {
    if (TargetDied()) return;
    if (!view_.order_result) return;
    TakeOrder();
    if (view_.order_result->state() != v1::OrderUpdate::DONE) {
      return TryNext(absl::StrCat("start failed: ", view_.order_result->error()));
    }
    recovery().set_start_seconds(SecondsSince(out_.recovery.start_sent()));
    *out_.recovery.mutable_verify_started() = rpc::ToTimestamp(view_.now);
    *out_.recovery.mutable_deadline() =
        rpc::ToTimestamp(view_.now + absl::Seconds(kRecoveryVerifySeconds));
    Enter(State::VERIFYING, "started, waiting until it is healthy");
  }

  void Verifying() {
    if (TargetDied()) return;
    const bool same_epoch = view_.fact && view_.fact->epoch() == out_.recovery.epoch();
    if (same_epoch && view_.judgement.health == Health::kHealthy) {
      recovery().set_verify_seconds(SecondsSince(out_.recovery.verify_started()));
      return Finish(State::DONE, absl::StrCat("healthy on ", recovery().target()));
    }
    if (view_.frozen) return;
    // The beat that told of the start may tell of the time before it.
    const bool of_this_start =
        same_epoch && (view_.fact->probed() ||
                       view_.fact_heard > rpc::FromTimestamp(out_.recovery.verify_started()));
    const bool hopeless =
        of_this_start && (view_.fact->restarts_exhausted() || view_.fact->data_missing());
    if (hopeless) {
      return TryNext(absl::StrCat("it did not get healthy: ", view_.judgement.cause),
                     Restores(out_.recovery.candidate()));
    }
    if (view_.now >= rpc::FromTimestamp(out_.recovery.deadline())) {
      TryNext(
          absl::StrCat("it was not healthy within ", Seconds(absl::Seconds(kRecoveryVerifySeconds)),
                       view_.judgement.cause.empty() ? "" : ": ", view_.judgement.cause),
          Restores(out_.recovery.candidate()));
    }
  }

  // What was begun there may be running there: the target is then a place that must be fenced like
  // any other.
  bool TargetDied() {
    const std::string target = recovery().target();
    if (!IsGone(target)) return false;
    Remember(absl::StrCat("node ", target, " died"));
    const bool moved = target != recovery().node() && Moves(out_.recovery.candidate());
    if (moved && recovery().state() == State::RESTORING && out_.recovery.fence_proven()) {
      // Held since before it was placed there, and no order to start it was ever given.
      out_.abandoned_order = out_.recovery.order_id();
      out_.recovery.clear_order_id();
      *out_.recovery.mutable_fenced() = rpc::ToTimestamp(view_.now);
      Enter(State::PLANNED, absl::StrCat("node ", target, " died before it was started there"));
      return true;
    }
    FenceAnew(target, absl::StrCat("node ", target, " died during the recovery"));
    return true;
  }

  void Remember(const std::string& result, bool bad_backup = false) {
    rec::Tried* tried = out_.recovery.add_tried();
    tried->set_candidate(out_.recovery.candidate());
    tried->set_target(recovery().target());
    tried->set_backup_id(recovery().backup_id());
    tried->set_result(result);
    tried->set_bad_backup(bad_backup);
  }

  void TryNext(const std::string& why, bool bad_backup = false) {
    Remember(why, bad_backup);
    // Whatever runs now is not the answer; it must not run beside the next try.
    out_.recovery.set_fence_proven(false);
    Enter(State::PLANNED, absl::StrCat(ActionText(out_.recovery.candidate()), " failed: ", why));
  }

  v1::Order NewOrder(absl::string_view step, uint64_t epoch) {
    out_.recovery.set_attempt(out_.recovery.attempt() + 1);
    v1::Order order;
    order.set_id(absl::StrCat(recovery().id(), "/", recovery().workload(), "/", step, "/",
                              out_.recovery.attempt()));
    order.set_workload(recovery().workload());
    order.set_epoch(epoch);
    return order;
  }

  void Send(v1::Order order, const std::string& node) {
    out_.recovery.set_order_id(order.id());
    out_.order = std::move(order);
    out_.order_node = node;
  }

  void TakeOrder() {
    out_.order_done = true;
    out_.recovery.clear_order_id();
    out_.changed = true;
  }

  void Finish(State::Value state, std::string message) {
    out_.abandoned_order = out_.recovery.order_id();
    out_.recovery.clear_order_id();
    const absl::Time started = rpc::FromTimestamp(out_.recovery.died());
    *recovery().mutable_ended() = rpc::ToTimestamp(view_.now);
    recovery().set_total_seconds(absl::ToDoubleSeconds(view_.now - started));
    recovery().clear_next_command();
    out_.workload.set_hold_recovery(false);
    if (state == State::DONE) {
      out_.workload.set_state(v1::WorkloadState::RUNNING);
      out_.workload.set_message("");
      *out_.workload.mutable_state_since() = rpc::ToTimestamp(view_.now);
      out_.workload.set_last_recovery(recovery().id());
      if (!AsPlanned()) out_.workload.set_last_recovery_seconds(recovery().total_seconds());
    }
    Enter(state, std::move(message));
  }

  // `blocked`: only by something else that is away; when that is back it is tried again.
  void Escalate(const std::string& why, bool blocked) {
    std::set<std::string> bad_backups;
    for (const rec::Tried& tried : out_.recovery.tried()) {
      if (tried.bad_backup()) bad_backups.insert(tried.backup_id());
    }
    const bool quarantine = static_cast<int>(bad_backups.size()) >= kQuarantineBackups;
    Finish(State::ESCALATED, why);
    out_.recovery.set_blocked(blocked && !quarantine);
    for (std::string& line : Diagnostics(out_.recovery, view_))
      recovery().add_diagnostics(std::move(line));
    recovery().set_next_command(NextCommand(out_.recovery, view_));
    absl::StrAppend(&out_.events.back().message, ". Next: ", recovery().next_command());
    // The last try may still run; it is not proven good, but stopping it would take away what a
    // person may want to see.
    out_.workload.set_state(quarantine ? v1::WorkloadState::QUARANTINED
                                       : v1::WorkloadState::ESCALATED);
    *out_.workload.mutable_state_since() = rpc::ToTimestamp(view_.now);
    out_.workload.set_message(why);
    out_.workload.set_last_recovery(recovery().id());
  }

  const RecoveryView& view_;
  RecoveryStepResult out_;
};

}  // namespace

RecoveryStepResult AdvanceRecovery(const rec::RecoveryRecord& recovery, const RecoveryView& view) {
  return Step(recovery, view).Run();
}

RecoveryStepResult EscalateRecovery(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                                    const std::string& why) {
  return Step(recovery, view).RunToEscalation(why);
}

}  // namespace ember::controller
