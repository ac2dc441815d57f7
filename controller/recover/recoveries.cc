#include "controller/recover/recoveries.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/protect/damage.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/recover/dependency_graph.h"
#include "controller/recover/fences.h"
#include "controller/recover/known.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

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
    if (consumed) MarkDamageMet(em, order.order(), order.last_update(), &batch);
    if (consumed || id == step.abandoned_order) batch.Erase(order);
  }
  if (step.order) {
    v1::Order order = *step.order;
    EMBER_RETURN_IF_ERROR(GrantReading(em, step.order_node, &order));
    batch.Put(NewOrder(em, step.order_node, std::move(order)));
  }
  return em.Commit(batch);
}

absl::Status ForgetOldRecoveries(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (em.catalog->recoveries().size() <= kEndedRecoveriesKept) return absl::OkStatus();
  std::set<std::string> wanted;
  for (const auto& [name, workload] : em.catalog->workloads())
    wanted.insert(workload.last_recovery());
  std::vector<std::pair<absl::Time, const rec::RecoveryRecord*>> ended;
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (!IsOpen(recovery.recovery().state()) && wanted.count(id) == 0)
      ended.emplace_back(rpc::FromTimestamp(recovery.recovery().ended()), &recovery);
  }
  std::sort(ended.begin(), ended.end());
  // Some at once, so that this is seldom.
  Batch batch;
  for (size_t i = 0; i < std::min(ended.size(), kEndedRecoveriesKept / 4); ++i)
    batch.Erase(*ended[i].second);
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

absl::Status RefuseWhileRecovered(const EmState& em, const std::string& workload) {
  const rec::RecoveryRecord* open = OpenRecoveryOf(em, workload);
  if (open == nullptr) return absl::OkStatus();
  const std::string& id = open->recovery().id();
  return WithHint(absl::FailedPreconditionError(
                      absl::StrCat("workload '", workload, "' is being recovered by ", id)),
                  absl::StrCat("ember recovery cancel ", id, " holds it where it is"));
}

const rec::RecoveryRecord* RecoveryToShow(const EmState& em, const rec::WorkloadRecord& workload) {
  if (const rec::RecoveryRecord* open = OpenRecoveryOf(em, workload.name())) return open;
  const auto last = em.catalog->recoveries().find(workload.last_recovery());
  const bool waits =
      last != em.catalog->recoveries().end() && !last->second.recovery().next_command().empty();
  return waits ? &last->second : nullptr;
}

WorkloadJudgement JudgeNow(const EmState& em, const v1::WorkloadSpec& spec,
                           const rec::WorkloadRecord& workload) {
  if (StateOf(em, workload.node()) != v1::NodeState::ALIVE) return {};
  const HeardWorkload* heard = HeardOf(em, workload.node(), spec.name());
  // Facts of an earlier placement say nothing about this one.
  if (heard == nullptr || heard->fact.epoch() < workload.epoch()) return {};
  const auto last = em.board.application_beats.find(spec.name());
  const bool beat_since = last != em.board.application_beats.end() && last->second > heard->started;
  ApplicationBeat beat;
  beat.heard = beat_since || heard->taken_over;
  beat.silence = em.clock->Monotonic() - (beat_since ? last->second : heard->started);
  return JudgeWorkload(spec, &heard->fact, beat);
}

namespace {

// The first of the backup's vaults whose node is not DEAD; the first when all are.
v1::VaultAddress VaultThatMayReturn(const EmState& em, const rec::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  v1::VaultAddress first;
  first.set_name(backup.vault());
  for (const std::string& name : HoldersOf(backup)) {
    const v1::VaultSpec* vault = FindVault(em.catalog->estate().estate(), name);
    if (vault == nullptr) continue;
    v1::VaultAddress address;
    address.set_name(name);
    address.set_node(vault->node());
    const auto node = em.catalog->nodes().find(vault->node());
    if (node != em.catalog->nodes().end() && node->second.state() != v1::NodeState::DEAD)
      return address;
    if (name == backup.vault()) first = address;
  }
  return first;
}

}  // namespace

RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const rec::RecoveryRecord& recovery) {
  RecoveryView view;
  view.now = em.clock->Now();
  view.maintenance = em.catalog->freeze().maintenance();
  view.frozen = em.catalog->freeze().frozen() || em.catalog->freeze().maintenance();
  view.spec = spec;
  view.workload = em.catalog->workloads().at(spec.name());
  for (const auto& [name, node] : em.catalog->nodes()) view.nodes[name] = node.state();
  const auto here = em.catalog->nodes().find(view.workload.node());
  if (here != em.catalog->nodes().end())
    view.gone_since = rpc::FromTimestamp(here->second.state_since());
  view.judgement = JudgeNow(em, spec, view.workload);
  if (const HeardWorkload* heard = HeardOf(em, view.workload.node(), spec.name()))
    view.fact = heard->fact;
  const LeaseFence fence = LeaseFenceOf(em, recovery.recovery().node());
  view.fence_by_lease = fence == LeaseFence::kProven;
  view.fence_unprovable = fence == LeaseFence::kUnprovable;
  view.fence_command = FenceCommandOf(em, recovery.recovery().node());
  for (const std::string& name : spec.depends_on()) {
    if (IsVerified(em, name)) continue;
    view.unmet_dependencies.push_back(name);
    const auto it = em.catalog->workloads().find(name);
    if (it != em.catalog->workloads().end() && IsGivenUp(it->second.state()))
      view.escalated_dependencies.push_back(name);
  }
  for (const rec::BackupRecord* good : GoodBackups(em, spec.name())) {
    BackupChoice choice;
    choice.id = good->backup().id();
    choice.created = rpc::FromTimestamp(good->backup().created());
    choice.domain_id = good->domain_id();
    auto address = NearestCopy(em, *good);
    choice.reachable = address.ok();
    choice.vault = address.ok() ? *address : VaultThatMayReturn(em, *good);
    view.backups.push_back(std::move(choice));
  }
  const auto order = em.catalog->orders().find(recovery.order_id());
  if (order != em.catalog->orders().end() && order->second.finished())
    view.order_result = order->second.last_update();
  for (const auto* names : {&spec.recovery().with(), &spec.recovery().apart()}) {
    for (const std::string& name : *names) {
      const auto it = em.catalog->workloads().find(name);
      if (it == em.catalog->workloads().end()) continue;
      view.places[name] = it->second.node();
      if (OpenRecoveryOf(em, name) != nullptr) view.moving.insert(name);
    }
  }
  int restoring = 0;
  for (const auto& [id, other] : em.catalog->recoveries()) {
    const bool works = other.recovery().state() == v1::RecoveryState::RESTORING;
    if (!works || other.order_id().empty()) continue;
    ++restoring;
    ++view.restoring_to[other.recovery().target()];
    const auto reads = em.catalog->orders().find(other.order_id());
    if (reads != em.catalog->orders().end())
      ++view.restoring_from[reads->second.order().restore().vault().name()];
  }
  view.slot_free = restoring < kRecoveriesAtOnce;
  return view;
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
  return ForgetOldRecoveries(em);
}

}  // namespace ember::controller
