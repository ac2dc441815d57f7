#include "node-agent/orders/queue.h"

#include <algorithm>
#include <utility>

namespace ember::agent {

Lane LaneOf(const v1::Order& order) {
  if (order.has_vault()) return Lane::kVault;
  if (order.has_fence()) return Lane::kFence;
  return order.has_start() || order.has_stop() ? Lane::kPrompt : Lane::kLong;
}

bool RestoresInPlace(const v1::Order& order) {
  return order.has_restore() && order.restore().target_directory().empty() &&
         !order.restore().dry_run();
}

bool Conflict(const v1::Order& a, const v1::Order& b) {
  if (a.has_vault() || b.has_vault())
    return a.has_vault() && b.has_vault() && a.vault().vault() == b.vault().vault();
  if (a.has_fence() || b.has_fence())
    return a.has_fence() && b.has_fence() && a.fence().node() == b.fence().node();
  if (a.workload() != b.workload()) return false;
  if (LaneOf(a) == LaneOf(b)) return true;
  return (RestoresInPlace(a) && b.has_start()) || (RestoresInPlace(b) && a.has_start());
}

OrderQueue::Waiting::const_iterator OrderQueue::Find(Lane lane) const {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (LaneOf(*it) != lane) continue;
    const auto conflicts = [&](const v1::Order& other) { return Conflict(*it, other); };
    const bool runs = std::any_of(running_.begin(), running_.end(),
                                  [&](const auto& entry) { return conflicts(entry.second); });
    if (!runs && std::none_of(waiting_.begin(), it, conflicts)) return it;
  }
  return waiting_.end();
}

bool OrderQueue::HasNext(Lane lane) const { return Find(lane) != waiting_.end(); }

std::optional<v1::Order> OrderQueue::Next(Lane lane) {
  const auto found = Find(lane);
  if (found == waiting_.end()) return std::nullopt;
  v1::Order order = *found;
  waiting_.erase(found);
  running_[order.id()] = order;
  return order;
}

std::optional<v1::Order> OrderQueue::Remove(absl::string_view id) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const v1::Order& order) { return order.id() == id; });
  if (found == waiting_.end()) return std::nullopt;
  v1::Order order = *found;
  waiting_.erase(found);
  return order;
}

}  // namespace ember::agent
