// The state of every workload: what its agent says, and whether it must be recovered.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/recover/fences.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"
#include "controller/recover/recovery_view.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

using State = v1::WorkloadState;

// One workload while its state is judged.
class WorkloadUpdate {
 public:
  WorkloadUpdate(EmState& em, const v1::WorkloadSpec& spec, const rec::WorkloadRecord& record,
                 bool has_majority)
      : em_(em), spec_(spec), record_(record), node_(record.node()), has_majority_(has_majority) {}

  absl::Status Run() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    // Its agent may hear of it at any moment.
    if (record_.self_fences() && !SelfFences(spec_, has_majority_)) {
      record_.set_self_fences(false);
      changed_ = true;
    }
    const WorkloadJudgement judgement = JudgeNow(em_, spec_, record_);
    const auto [state, message] = Next(judgement);
    if (judgement.health == Health::kHealthy && !record_.ever_healthy()) {
      record_.set_ever_healthy(true);
      changed_ = true;
    }
    if (state != record_.state()) {
      batch_.AddEvent("workload.state", spec_.name(),
                      absl::StrCat(State::Value_Name(record_.state()), " -> ",
                                   State::Value_Name(state), message.empty() ? "" : ": ", message),
                      spec_.name());
      record_.set_state(state);
      *record_.mutable_state_since() = rpc::ToTimestamp(em_.clock->Now());
      changed_ = true;
    }
    if (message != record_.message()) {
      record_.set_message(message);
      changed_ = true;
    }
    if (state == State::DEAD) MaybeRecover(message);
    if (state == State::RUNNING) CloseLast("healthy again");
    if (changed_) batch_.Put(record_);
    return em_.Commit(batch_);
  }

 private:
  std::pair<State::Value, std::string> Next(const WorkloadJudgement& judgement)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (OpenRecoveryOf(em_, spec_.name()) != nullptr) {
      return {State::RECOVERING, OpenRecoveryOf(em_, spec_.name())->recovery().message()};
    }
    if (record_.held()) return {State::HELD, "held by a person"};
    const v1::NodeState::Value node = StateOf(em_, node_);
    if (node == v1::NodeState::DEAD || node == v1::NodeState::REVOKED) {
      if (IsGivenUp(record_.state()) && !Unblocked()) return {record_.state(), record_.message()};
      return {State::DEAD, absl::StrCat("node ", node_, " is ", v1::NodeState::Value_Name(node))};
    }
    if (WorkedOnByHand()) return {State::STARTING, "a person restores or starts it"};
    switch (judgement.health) {
      case Health::kHealthy: return {State::RUNNING, ""};
      case Health::kFailing:
        if (IsGivenUp(record_.state())) return {record_.state(), record_.message()};
        return {State::SUSPECT, judgement.cause};
      case Health::kDead:
        if (IsGivenUp(record_.state()) && !Unblocked()) return {record_.state(), record_.message()};
        return {State::DEAD, judgement.cause};
      case Health::kStarting:
        if (IsGivenUp(record_.state())) return {record_.state(), record_.message()};
        return {State::STARTING, ""};
      case Health::kUnknown: break;
    }
    const bool silent = node == v1::NodeState::SUSPECT || node == v1::NodeState::UNREACHABLE;
    return {record_.state(), silent && !IsGivenUp(record_.state())
                                 ? absl::StrCat("node ", node_, " is silent")
                                 : record_.message()};
  }

  // While an order of a person's stops and starts it, being down is no death.
  bool WorkedOnByHand() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    for (const auto& [id, order] : em_.catalog->orders()) {
      const v1::Order& action = order.order();
      if (action.workload() != spec_.name() || order.node() != node_) continue;
      const bool in_place = action.has_restore() && action.restore().target_directory().empty() &&
                            !action.restore().dry_run();
      if (in_place || action.has_start()) return true;
    }
    return false;
  }

  // Given up only because of a dependency that is well again, a vault whose node is back, or a
  // fence that can be proven now.
  bool Unblocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto last = em_.catalog->recoveries().find(record_.last_recovery());
    if (last == em_.catalog->recoveries().end() || !last->second.blocked()) return false;
    const bool dependencies_met =
        std::all_of(spec_.depends_on().begin(), spec_.depends_on().end(),
                    [this](const std::string& name)
                        ABSL_NO_THREAD_SAFETY_ANALYSIS { return IsMet(em_, spec_, name); });
    if (!dependencies_met) return false;
    if (last->second.fence_unproven() && StateOf(em_, node_) != v1::NodeState::ALIVE) {
      return LeaseFenceOf(em_, node_) == LeaseFence::kProven ||
             !FenceCommandOf(em_, node_).proof.empty();
    }
    // By what it has tried: a way that failed is no reason to begin anew.
    const Candidate next = ChooseCandidate(last->second, ViewFor(em_, spec_, last->second));
    return next.kind != Candidate::kGiveUp || next.reason != last->second.recovery().message();
  }

  void MaybeRecover(const std::string& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (InMaintenance(em_, node_) || em_.catalog->freeze().frozen()) return;
    const absl::Time now = em_.clock->Now();
    const bool node_death = StateOf(em_, node_) != v1::NodeState::ALIVE;
    const rec::RecoveryRecord recovery = NewRecovery(NextRecoveryId(em_, &batch_), spec_, record_,
                                                     cause, LastHealthy(), now, node_death);
    const std::string& id = recovery.recovery().id();
    CloseLast(absl::StrCat("it died again: ", id));
    changed_ = true;
    batch_.AddEvent("recovery.detected", id, absl::StrCat(spec_.name(), " is DEAD: ", cause),
                    spec_.name());
    if (spec_.recovery().mode() == v1::RecoverySpec::MANUAL)
      return GiveUp(recovery, absl::StrCat("its recovery mode is 'manual'; ", cause));
    CountFlap(now);
    if (record_.flap_penalty() > kFlapSuppress)
      return GiveUp(recovery, absl::StrCat("it dies again and again (flapping); ", cause));
    batch_.Put(recovery);
    record_.set_state(State::RECOVERING);
  }

  void CountFlap(absl::Time now) {
    if (record_.has_flap_at()) {
      const double half_lives =
          absl::ToDoubleSeconds(now - rpc::FromTimestamp(record_.flap_at())) / kFlapHalfLifeSeconds;
      record_.set_flap_penalty(record_.flap_penalty() * std::exp2(-std::max(0.0, half_lives)));
    }
    *record_.mutable_flap_at() = rpc::ToTimestamp(now);
    record_.set_flap_penalty(record_.flap_penalty() + kFlapPenalty);
  }

  // Nothing is tried: a person gets the same account as after a recovery that failed.
  void GiveUp(const rec::RecoveryRecord& recovery, const std::string& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    RecoveryView view = ViewFor(em_, spec_, recovery);
    view.workload = record_;
    const RecoveryStepResult step = EscalateRecovery(recovery, view, why);
    record_ = step.workload;
    batch_.Put(step.recovery);
    for (const RecoveryEvent& event : step.events) {
      batch_.AddEvent(event.type, recovery.recovery().id(),
                      absl::StrCat(spec_.name(), ": ", event.message), spec_.name());
    }
  }

  // The last recovery waits for nobody any more.
  void CloseLast(const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto last = em_.catalog->recoveries().find(record_.last_recovery());
    if (last == em_.catalog->recoveries().end()) return;
    if (IsOpen(last->second.recovery().state()) || last->second.recovery().next_command().empty())
      return;
    rec::RecoveryRecord closed = last->second;
    CloseEscalation(&closed, why, em_.clock->Now());
    batch_.Put(closed);
  }

  absl::Time LastHealthy() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const HeardWorkload* heard = HeardOf(em_, node_, spec_.name());
    if (heard != nullptr && heard->healthy_at != absl::InfinitePast()) return heard->healthy_at;
    const auto node = em_.catalog->nodes().find(node_);
    if (node != em_.catalog->nodes().end() && node->second.has_last_beat() &&
        StateOf(em_, node_) != v1::NodeState::ALIVE) {
      return rpc::FromTimestamp(node->second.last_beat());
    }
    return em_.clock->Now();
  }

  EmState& em_;
  const v1::WorkloadSpec& spec_;
  rec::WorkloadRecord record_;
  const std::string node_;
  const bool has_majority_;
  Batch batch_;
  bool changed_ = false;
};

// Clang's analysis does not see that a member reference is this `em`.
absl::Status UpdateWorkload(EmState& em, const v1::WorkloadSpec& spec,
                            const rec::WorkloadRecord& record,
                            bool has_majority) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return WorkloadUpdate(em, spec, record, has_majority).Run();
}

}  // namespace

absl::Status UpdateWorkloads(EmState& em) {
  const v1::Estate estate = em.catalog->estate().estate();
  const bool has_majority = HasFailoverMajority(estate);
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (it != em.catalog->workloads().end())
      EMBER_RETURN_IF_ERROR(UpdateWorkload(em, spec, it->second, has_majority));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
