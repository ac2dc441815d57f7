#include "controller/em_state.h"

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

const v1::WorkloadSpec* FindWorkload(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.workloads(), name);
}
const v1::VaultSpec* FindVault(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.vaults(), name);
}
const v1::PolicySpec* FindPolicy(const v1::Estate& estate, const std::string& name) {
  return FindByName(estate.policies(), name);
}

bool SelfFences(const v1::WorkloadSpec& spec) {
  const v1::RecoverySpec& recovery = spec.recovery();
  return recovery.class_() == v1::RecoverySpec::EXCLUSIVE &&
         recovery.mode() == v1::RecoverySpec::AUTOMATIC && recovery.standby_size() > 0;
}

}  // namespace ember::controller
