#include "controller/recover/recovery_view.h"

#include <algorithm>
#include <utility>

#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/recover/fences.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"

namespace ember::controller {

namespace rec = record::v1;

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

AwaitedRun AwaitedRunOf(const EmState& em, const std::string& id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto run = em.catalog->runs().find(id);
  if (run == em.catalog->runs().end()) return {.ended = true, .error = "its run was forgotten"};
  AwaitedRun awaited;
  awaited.ended = !IsOpenRun(run->second);
  awaited.backup_id = run->second.run().backup_id();
  awaited.error = run->second.run().error();
  return awaited;
}

// Every node that the saga may ask for.
void AddNodes(const EmState& em, const rec::RecoveryRecord& recovery, RecoveryView* view)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto add = [&](const std::string& name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto node = em.catalog->nodes().find(name);
    if (node == em.catalog->nodes().end()) return;
    view->nodes[name] = node->second.state();
    if (node->second.has_drained()) view->drained.insert(name);
  };
  for (const std::string& name :
       {view->workload.node(), view->spec.node(), recovery.recovery().node(),
        recovery.recovery().target(), recovery.move_to()})
    add(name);
  for (const std::string& name : view->spec.recovery().standby()) add(name);
  for (const BackupChoice& backup : view->backups) add(backup.vault.node());
}

void AddBackups(const EmState& em, RecoveryView* view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const rec::BackupRecord* good : GoodBackups(em, view->spec.name())) {
    BackupChoice choice;
    choice.id = good->backup().id();
    choice.created = rpc::FromTimestamp(good->backup().created());
    choice.domain_id = good->domain_id();
    choice.size_bytes = good->backup().size_bytes();
    auto address = NearestCopy(em, *good);
    choice.reachable = address.ok();
    choice.vault = address.ok() ? *address : VaultThatMayReturn(em, *good);
    view->backups.push_back(std::move(choice));
  }
}

// Of its dependencies, and of those that it must be with or apart from.
void AddOthers(const EmState& em, RecoveryView* view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::WorkloadSpec& spec = view->spec;
  for (const std::string& name : spec.depends_on()) {
    if (IsMet(em, spec, name)) continue;
    view->unmet_dependencies.push_back(name);
    const auto it = em.catalog->workloads().find(name);
    if (it != em.catalog->workloads().end() && IsGivenUp(it->second.state()))
      view->escalated_dependencies.push_back(name);
  }
  for (const auto* names : {&spec.recovery().with(), &spec.recovery().apart()}) {
    for (const std::string& name : *names) {
      const auto it = em.catalog->workloads().find(name);
      if (it == em.catalog->workloads().end()) continue;
      view->places[name] = it->second.node();
      if (OpenRecoveryOf(em, name) != nullptr) view->moving.insert(name);
    }
  }
}

}  // namespace

RecoveryPass::RecoveryPass(const EmState& em) {
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (IsOpen(recovery.recovery().state())) Note(em, recovery);
  }
}

RecoveryPass::Share RecoveryPass::ShareOf(const EmState& em, const rec::RecoveryRecord& record) {
  Share share;
  const v1::Recovery& recovery = record.recovery();
  if (!IsOpen(recovery.state())) return share;
  share.target = recovery.target();
  const v1::WorkloadSpec* spec = em.catalog->FindWorkload(recovery.workload());
  if (spec != nullptr && recovery.target() != recovery.node())
    share.memory_bytes = spec->recovery().memory_bytes();
  if (recovery.state() != v1::RecoveryState::RESTORING) return share;
  const auto backup = em.catalog->backups().find(recovery.backup_id());
  if (backup != em.catalog->backups().end())
    share.data_bytes = backup->second.backup().size_bytes();
  share.restores = !record.order_id().empty();
  const auto order = em.catalog->orders().find(record.order_id());
  if (order != em.catalog->orders().end())
    share.vault = order->second.order().restore().vault().name();
  return share;
}

void RecoveryPass::Count(const Share& share, int sign) {
  taken_[share.target].memory_bytes += sign * share.memory_bytes;
  taken_[share.target].data_bytes += sign * share.data_bytes;
  if (!share.restores) return;
  restoring_ += sign;
  restoring_to_[share.target] += sign;
  if (!share.vault.empty()) restoring_from_[share.vault] += sign;
}

void RecoveryPass::Note(const EmState& em, const rec::RecoveryRecord& recovery) {
  Share& share = shares_[recovery.recovery().id()];
  Count(share, -1);
  share = ShareOf(em, recovery);
  Count(share, +1);
}

LeaseFence RecoveryPass::FenceOf(const EmState& em, const std::string& node) {
  const auto known = fences_.find(node);
  if (known != fences_.end()) return known->second;
  return fences_[node] = LeaseFenceOf(em, node);
}

void RecoveryPass::AddLoad(const EmState& em, RecoveryView* view) const {
  view->slot_free = restoring_ < kRecoveriesAtOnce;
  view->restoring_to = restoring_to_;
  view->restoring_from = restoring_from_;
  std::vector<std::string> places(view->spec.recovery().standby().begin(),
                                  view->spec.recovery().standby().end());
  places.push_back(view->spec.node());
  Share own;
  for (const std::string& id : em.catalog->RecoveriesOf(view->spec.name())) {
    const auto share = shares_.find(id);
    if (share != shares_.end() && !share->second.target.empty()) own = share->second;
  }
  for (const std::string& node : places) {
    const auto heard = em.board.nodes.find(node);
    if (heard == em.board.nodes.end()) continue;
    Room& room = view->rooms[node];
    room.memory_bytes = heard->second.memory_available_bytes;
    if (const HeardWorkload* workload = HeardOf(em, node, view->spec.name()))
      room.data_bytes = workload->fact.free_bytes();
    const auto taken = taken_.find(node);
    if (taken == taken_.end()) continue;
    const bool counted = own.target == node;
    room.Take(taken->second.memory_bytes - (counted ? own.memory_bytes : 0),
              taken->second.data_bytes - (counted ? own.data_bytes : 0));
  }
}

RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const rec::RecoveryRecord& recovery, RecoveryPass* pass) {
  RecoveryView view;
  view.now = em.clock->Now();
  view.maintenance = em.catalog->freeze().maintenance();
  view.frozen = em.catalog->freeze().frozen() || em.catalog->freeze().maintenance();
  view.spec = spec;
  view.workload = em.catalog->workloads().at(spec.name());
  const auto here = em.catalog->nodes().find(view.workload.node());
  if (here != em.catalog->nodes().end())
    view.gone_since = rpc::FromTimestamp(here->second.state_since());
  view.judgement = JudgeNow(em, spec, view.workload);
  if (const HeardWorkload* heard = HeardOf(em, view.workload.node(), spec.name())) {
    view.fact = heard->fact;
    view.fact_heard = view.now - (em.clock->Monotonic() - heard->heard);
  }
  const LeaseFence fence = pass->FenceOf(em, recovery.recovery().node());
  view.fence_by_lease = fence == LeaseFence::kProven;
  view.fence_unprovable = fence == LeaseFence::kUnprovable;
  view.fence_command = FenceCommandOf(em, recovery.recovery().node());
  const auto order = em.catalog->orders().find(recovery.order_id());
  if (order != em.catalog->orders().end() && order->second.finished())
    view.order_result = order->second.last_update();
  if (!recovery.run_id().empty()) view.run = AwaitedRunOf(em, recovery.run_id());
  AddBackups(em, &view);
  AddNodes(em, recovery, &view);
  AddOthers(em, &view);
  pass->AddLoad(em, &view);
  return view;
}

RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const rec::RecoveryRecord& recovery) {
  RecoveryPass pass(em);
  return ViewFor(em, spec, recovery, &pass);
}

}  // namespace ember::controller
