#include "controller/recover/known.h"

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

bool IsVerified(const EmState& em, const std::string& workload) {
  const auto it = em.catalog->workloads().find(workload);
  return it != em.catalog->workloads().end() && it->second.state() == State::RUNNING &&
         OpenRecoveryOf(em, workload) == nullptr;
}

}  // namespace ember::controller
