#include "controller/recover/known.h"

#include <algorithm>

#include "controller/recover/recoveries.h"

namespace ember::controller {

using State = v1::WorkloadState;

v1::NodeState::Value StateOf(const EmState& em, const std::string& node) {
  const auto it = em.catalog->nodes().find(node);
  return it == em.catalog->nodes().end() ? v1::NodeState::UNKNOWN : it->second.state();
}

const HeardWorkload* HeardOf(const EmState& em, const std::string& node,
                             const std::string& workload) {
  const auto heard = em.board.nodes.find(node);
  if (heard == em.board.nodes.end()) return nullptr;
  const auto it = heard->second.workloads.find(workload);
  return it == heard->second.workloads.end() ? nullptr : &it->second;
}

bool IsGivenUp(State::Value state) {
  return state == State::ESCALATED || state == State::QUARANTINED;
}

bool IsStarted(const EmState& em, const std::string& workload) {
  const auto it = em.catalog->workloads().find(workload);
  if (it == em.catalog->workloads().end() || it->second.held() || it->second.hold_recovery())
    return false;
  const HeardWorkload* heard = HeardOf(em, it->second.node(), workload);
  return heard != nullptr && StateOf(em, it->second.node()) == v1::NodeState::ALIVE &&
         heard->fact.running() && heard->fact.epoch() >= it->second.epoch();
}

bool IsMet(const EmState& em, const v1::WorkloadSpec& spec, const std::string& dependency) {
  const auto& after = spec.starts_after();
  const bool started_is_enough = std::find(after.begin(), after.end(), dependency) != after.end();
  return IsVerified(em, dependency) || (started_is_enough && IsStarted(em, dependency));
}

bool IsVerified(const EmState& em, const std::string& workload) {
  const auto it = em.catalog->workloads().find(workload);
  return it != em.catalog->workloads().end() && it->second.state() == State::RUNNING &&
         OpenRecoveryOf(em, workload) == nullptr;
}

}  // namespace ember::controller
