#include "controller/recover/fences.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/recover/saga.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Silence will never prove that it stopped, and a proof would let it move.
bool NeedsCommand(const EmState& em, const v1::WorkloadSpec& spec,
                  const rec::WorkloadRecord& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::RecoverySpec& recovery = spec.recovery();
  if (recovery.class_() != v1::RecoverySpec::EXCLUSIVE || recovery.standby().empty()) return false;
  return !workload.self_fences() || LeaseFenceOf(em, workload.node()) == LeaseFence::kUnprovable;
}

// Those that a recovery waits for, or gave up for.
std::set<std::string> NodesToFence(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::set<std::string> nodes;
  if (em.catalog->freeze().frozen()) return nodes;
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    const std::string& node = recovery.recovery().node();
    if (recovery.fence_proven() || !recovery.node_death() || nodes.count(node) > 0) continue;
    const std::string& name = recovery.recovery().workload();
    const auto workload = em.catalog->workloads().find(name);
    const v1::WorkloadSpec* spec = em.catalog->FindWorkload(name);
    if (workload == em.catalog->workloads().end() || spec == nullptr) continue;
    const bool waits =
        recovery.recovery().state() == v1::RecoveryState::FENCING && recovery.order_id().empty();
    const bool gave_up = recovery.fence_unproven() && workload->second.last_recovery() == id &&
                         !workload->second.held();
    if ((waits || gave_up) && workload->second.node() == node && !InMaintenance(em, node) &&
        NeedsCommand(em, *spec, workload->second)) {
      nodes.insert(node);
    }
  }
  return nodes;
}

FenceView ViewOf(const EmState& em, const rec::NodeRecord& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  FenceView view;
  view.now = em.clock->Now();
  view.node = node;
  for (const v1::NodeSpec& spec : em.catalog->estate().estate().nodes()) {
    if (spec.name() == node.name()) view.spec = spec.fence();
  }
  for (const std::string& from : view.spec.from()) {
    const auto it = em.catalog->nodes().find(from);
    if (it != em.catalog->nodes().end()) view.nodes[from] = it->second.state();
  }
  const auto order = em.catalog->orders().find(node.fence().order_id());
  if (order == em.catalog->orders().end()) return view;
  view.order_node = order->second.node();
  view.order_created = rpc::FromTimestamp(order->second.created());
  const auto runner = em.catalog->nodes().find(view.order_node);
  if (runner != em.catalog->nodes().end()) view.nodes[view.order_node] = runner->second.state();
  if (order->second.finished()) view.result = order->second.last_update();
  return view;
}

absl::Status Write(EmState& em, const FenceStep& step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  Batch batch;
  batch.Put(step.node);
  if (!step.event.empty()) batch.AddEvent(step.event, step.node.name(), step.message);
  const auto over = em.catalog->orders().find(step.order_over);
  if (over != em.catalog->orders().end()) batch.Erase(over->second);
  if (step.order) batch.Put(NewOrder(em, step.order_node, *step.order));
  return em.Commit(batch);
}

}  // namespace

FenceCommand FenceCommandOf(const EmState& em, const std::string& node) {
  const auto it = em.catalog->nodes().find(node);
  return it == em.catalog->nodes().end() ? FenceCommand()
                                         : FenceCommandFrom(ViewOf(em, it->second));
}

bool HasFenceCommand(const EmState& em, const std::string& node) {
  const auto it = em.catalog->nodes().find(node);
  if (it == em.catalog->nodes().end()) return false;
  FenceView view = ViewOf(em, it->second);
  view.node.set_state(v1::NodeState::DEAD);
  return FenceCommandFrom(view).open;
}

absl::Status AdvanceFences(EmState& em) {
  const std::set<std::string> wanted = NodesToFence(em);
  std::vector<rec::NodeRecord> nodes;
  for (const auto& [name, node] : em.catalog->nodes()) {
    if (node.has_fence() || wanted.count(name) > 0) nodes.push_back(node);
  }
  for (const rec::NodeRecord& node : nodes) {
    FenceView view = ViewOf(em, node);
    view.wanted = wanted.count(node.name()) > 0;
    const FenceStep step = AdvanceFence(view);
    if (step.changed) EMBER_RETURN_IF_ERROR(Write(em, step));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
