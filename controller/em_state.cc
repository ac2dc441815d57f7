#include "controller/em_state.h"

#include <set>
#include <utility>

#include "common/base/limits.h"
#include "common/rpc/convert.h"

namespace ember::controller {
namespace {

template <typename Items>
auto FindByName(const Items& items, const std::string& name) -> decltype(&items.Get(0)) {
  for (const auto& item : items) {
    if (item.name() == name) return &item;
  }
  return nullptr;
}

}  // namespace

record::v1::OrderRecord NewOrder(const EmState& em, const std::string& node, v1::Order order) {
  record::v1::OrderRecord record;
  record.set_node(node);
  *record.mutable_created() = rpc::ToTimestamp(em.clock->Now());
  *record.mutable_order() = std::move(order);
  return record;
}

const v1::WorkloadSpec* FindWorkload(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.workloads(), name);
}
const v1::VaultSpec* FindVault(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.vaults(), name);
}
const v1::PolicySpec* FindPolicy(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.policies(), name);
}

bool HasFailoverMajority(const v1::Estate& estate) {
  std::set<absl::string_view> nodes;
  for (const v1::VaultSpec& vault : estate.vaults()) nodes.insert(vault.node());
  for (const v1::WorkloadSpec& workload : estate.workloads()) {
    nodes.insert(workload.node());
    nodes.insert(workload.recovery().standby().begin(), workload.recovery().standby().end());
    if (nodes.size() >= kFailoverNodesMin) return true;
  }
  return nodes.size() >= kFailoverNodesMin;
}

bool SelfFences(const v1::WorkloadSpec& spec, bool has_majority) {
  const v1::RecoverySpec& recovery = spec.recovery();
  return has_majority && recovery.class_() == v1::RecoverySpec::EXCLUSIVE &&
         recovery.mode() == v1::RecoverySpec::AUTOMATIC && recovery.standby_size() > 0;
}

}  // namespace ember::controller
