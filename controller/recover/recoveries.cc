#include "controller/recover/recoveries.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/recover/dependency_graph.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

using State = v1::WorkloadState;

v1::NodeState::Value StateOf(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto it = em.catalog->nodes().find(node);
  return it == em.catalog->nodes().end() ? v1::NodeState::UNKNOWN : it->second.state();
}

bool InMaintenance(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto it = em.catalog->nodes().find(node);
  return it != em.catalog->nodes().end() && it->second.maintenance();
}

const HeardWorkload* HeardOf(const EmState& em, const std::string& node,
                             const std::string& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto heard = em.board.nodes.find(node);
  if (heard == em.board.nodes.end()) return nullptr;
  const auto it = heard->second.workloads.find(workload);
  return it == heard->second.workloads.end() ? nullptr : &it->second;
}

bool Recovered(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto it = em.catalog->workloads().find(workload);
  return it != em.catalog->workloads().end() && it->second.state() == State::RUNNING &&
         OpenRecoveryOf(em, workload) == nullptr;
}

bool GivenUp(State::Value state) {
  return state == State::ESCALATED || state == State::QUARANTINED;
}

// One workload while its state is judged.
class WorkloadUpdate {
 public:
  WorkloadUpdate(EmState& em, const v1::WorkloadSpec& spec, const rec::WorkloadRecord& record)
      : em_(em), spec_(spec), record_(record), node_(record.node()) {}

  absl::Status Run() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
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
      if (GivenUp(record_.state())) return {record_.state(), record_.message()};
      return {State::DEAD, absl::StrCat("node ", node_, " is ", v1::NodeState::Value_Name(node))};
    }
    if (WorkedOnByHand()) return {State::STARTING, "a person restores or starts it"};
    switch (judgement.health) {
      case Health::kHealthy: return {State::RUNNING, ""};
      case Health::kFailing:
        if (GivenUp(record_.state())) return {record_.state(), record_.message()};
        return {State::SUSPECT, judgement.cause};
      case Health::kDead:
        if (GivenUp(record_.state()) && !Unblocked()) return {record_.state(), record_.message()};
        return {State::DEAD, judgement.cause};
      case Health::kStarting:
        if (GivenUp(record_.state())) return {record_.state(), record_.message()};
        return {State::STARTING, ""};
      case Health::kUnknown: break;
    }
    const bool silent = node == v1::NodeState::SUSPECT || node == v1::NodeState::UNREACHABLE;
    return {record_.state(), silent && !GivenUp(record_.state())
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

  // Given up only because of a dependency that is well again.
  bool Unblocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto last = em_.catalog->recoveries().find(record_.last_recovery());
    if (last == em_.catalog->recoveries().end() || !last->second.blocked_by_dependency())
      return false;
    return std::all_of(spec_.depends_on().begin(), spec_.depends_on().end(),
                       [this](const std::string& name)
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return Recovered(em_, name); });
  }

  void MaybeRecover(const std::string& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (InMaintenance(em_, node_) || em_.catalog->freeze().frozen()) return;
    if (spec_.recovery().mode() == v1::RecoverySpec::MANUAL)
      return GiveUp("its recovery mode is 'manual'", cause);
    const absl::Time now = em_.clock->Now();
    if (record_.has_flap_at()) {
      const double half_lives =
          absl::ToDoubleSeconds(now - rpc::FromTimestamp(record_.flap_at())) / kFlapHalfLifeSeconds;
      record_.set_flap_penalty(record_.flap_penalty() * std::exp2(-std::max(0.0, half_lives)));
    }
    *record_.mutable_flap_at() = rpc::ToTimestamp(now);
    record_.set_flap_penalty(record_.flap_penalty() + kFlapPenalty);
    changed_ = true;
    if (record_.flap_penalty() > kFlapSuppress)
      return GiveUp("it dies again and again (flapping)", cause);
    const bool node_death = StateOf(em_, node_) != v1::NodeState::ALIVE;
    rec::RecoveryRecord recovery =
        NewRecovery(absl::StrCat("r-", em_.catalog->recoveries().size() + 1), spec_, record_, cause,
                    LastHealthy(), now, node_death);
    batch_.Put(recovery);
    batch_.AddEvent("recovery.detected", recovery.recovery().id(),
                    absl::StrCat(spec_.name(), " is DEAD: ", cause), spec_.name());
    record_.set_state(State::RECOVERING);
  }

  void GiveUp(const std::string& why, const std::string& cause)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    record_.set_state(State::ESCALATED);
    record_.set_message(absl::StrCat(why, "; ", cause));
    changed_ = true;
    batch_.AddEvent("recovery.escalated", spec_.name(),
                    absl::StrCat("no automatic recovery: ", record_.message(),
                                 ". Next: ember workload restart ", spec_.name()),
                    spec_.name());
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
  Batch batch_;
  bool changed_ = false;
};

// Clang's analysis does not see that a member reference is this `em`.
absl::Status UpdateWorkload(EmState& em, const v1::WorkloadSpec& spec,
                            const rec::WorkloadRecord& record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return WorkloadUpdate(em, spec, record).Run();
}

absl::Status WriteStep(EmState& em, const RecoveryStepResult& step)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Recovery& recovery = step.recovery.recovery();
  Batch batch;
  batch.Put(step.recovery);
  batch.Put(step.workload);
  for (const RecoveryEvent& event : step.events) {
    batch.AddEvent(event.type, recovery.id(),
                   absl::StrCat(recovery.workload(), ": ", event.message), recovery.workload());
  }
  for (const auto& [id, order] : em.catalog->orders()) {
    const bool of_this = order.order().workload() == recovery.workload() &&
                         absl::StartsWith(id, absl::StrCat(recovery.id(), "/"));
    const bool consumed = of_this && step.order_done && order.finished();
    if (consumed || id == step.abandoned_order) batch.Erase(order);
  }
  if (step.order) {
    rec::OrderRecord order;
    *order.mutable_order() = *step.order;
    order.set_node(step.order_node);
    *order.mutable_created() = rpc::ToTimestamp(em.clock->Now());
    batch.Put(order);
  }
  return em.Commit(batch);
}

}  // namespace

const rec::RecoveryRecord* OpenRecoveryOf(const EmState& em, const std::string& workload) {
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (recovery.recovery().workload() == workload && IsOpen(recovery.recovery().state()))
      return &recovery;
  }
  return nullptr;
}

WorkloadJudgement JudgeNow(const EmState& em, const v1::WorkloadSpec& spec,
                           const rec::WorkloadRecord& workload) {
  if (StateOf(em, workload.node()) != v1::NodeState::ALIVE) return {};
  const HeardWorkload* heard = HeardOf(em, workload.node(), spec.name());
  // Facts of an earlier placement say nothing about this one.
  if (heard == nullptr || heard->fact.epoch() < workload.epoch()) return {};
  const auto beat = em.board.application_beats.find(spec.name());
  const absl::Time waiting_since =
      std::max(em.board.started, rpc::FromTimestamp(workload.state_since()));
  const absl::Time beat_at =
      beat == em.board.application_beats.end() ? waiting_since : beat->second;
  return JudgeWorkload(spec, &heard->fact, beat_at, em.clock->Now());
}

RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const rec::RecoveryRecord& recovery) {
  RecoveryView view;
  view.now = em.clock->Now();
  view.frozen = em.catalog->freeze().frozen();
  view.spec = spec;
  view.workload = em.catalog->workloads().at(spec.name());
  for (const auto& [name, node] : em.catalog->nodes()) view.nodes[name] = node.state();
  view.judgement = JudgeNow(em, spec, view.workload);
  if (const HeardWorkload* heard = HeardOf(em, view.workload.node(), spec.name()))
    view.fact = heard->fact;
  view.fence_by_lease = StateOf(em, recovery.recovery().node()) == v1::NodeState::DEAD;
  for (const std::string& name : spec.depends_on()) {
    if (Recovered(em, name)) continue;
    view.unmet_dependencies.push_back(name);
    const auto it = em.catalog->workloads().find(name);
    if (it != em.catalog->workloads().end() && GivenUp(it->second.state()))
      view.escalated_dependencies.push_back(name);
  }
  for (const rec::BackupRecord* good : GoodBackups(em, spec.name())) {
    BackupChoice choice;
    choice.id = good->backup().id();
    choice.created = rpc::FromTimestamp(good->backup().created());
    choice.domain_id = good->domain_id();
    auto address = AddressOf(em, good->vault());
    choice.reachable = address.ok();
    if (address.ok()) choice.vault = *address;
    choice.vault.set_name(good->vault());
    if (const v1::VaultSpec* vault = FindVault(em.catalog->estate().estate(), good->vault()))
      choice.vault.set_node(vault->node());
    view.backups.push_back(std::move(choice));
  }
  const auto order = em.catalog->orders().find(recovery.order_id());
  if (order != em.catalog->orders().end() && order->second.finished())
    view.order_result = order->second.last_update();
  int restoring = 0;
  for (const auto& [id, other] : em.catalog->recoveries()) {
    if (other.recovery().state() == v1::RecoveryState::RESTORING) ++restoring;
  }
  view.slot_free = restoring < kRecoveriesAtOnce;
  return view;
}

absl::Status UpdateWorkloads(EmState& em) {
  const v1::Estate estate = em.catalog->estate().estate();
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (it != em.catalog->workloads().end())
      EMBER_RETURN_IF_ERROR(UpdateWorkload(em, spec, it->second));
  }
  return absl::OkStatus();
}

absl::Status AdvanceRecoveries(EmState& em) {
  const v1::Estate estate = em.catalog->estate().estate();
  std::vector<std::string> open;
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (IsOpen(recovery.recovery().state())) open.push_back(recovery.recovery().workload());
  }
  for (const std::vector<std::string>& wave : DependencyGraph(estate).Waves(open)) {
    for (const std::string& name : wave) {
      const rec::RecoveryRecord* recovery = OpenRecoveryOf(em, name);
      const v1::WorkloadSpec* spec = FindWorkload(estate, name);
      if (recovery == nullptr || spec == nullptr) continue;
      const RecoveryStepResult step = AdvanceRecovery(*recovery, ViewFor(em, *spec, *recovery));
      if (step.changed) EMBER_RETURN_IF_ERROR(WriteStep(em, step));
    }
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
