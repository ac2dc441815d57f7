// Which order may run next: values only, no threads.
#ifndef EMBER_NODE_AGENT_ORDERS_QUEUE_H_
#define EMBER_NODE_AGENT_ORDERS_QUEUE_H_

#include <list>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// Long orders move data; prompt ones start and stop, and must not wait behind them; what looks
// after a vault may take days, which no restore must wait for.
enum class Lane { kLong, kPrompt, kVault, kFence };
Lane LaneOf(const v1::Order& order);
// A restore over the workload's own data.
bool RestoresInPlace(const v1::Order& order);
// May not run at the same time, and keep their order: two of one workload in one lane; an in-place
// restore with a start of its workload; two jobs of one vault.
bool Conflict(const v1::Order& a, const v1::Order& b);

// Not thread-safe.
class OrderQueue {
 public:
  void Push(v1::Order order) { waiting_.push_back(std::move(order)); }
  // Is there one for this lane that conflicts with nothing running or waiting longer?
  bool HasNext(Lane lane) const;
  // Takes it; it counts as running until Finished.
  std::optional<v1::Order> Next(Lane lane);
  void Finished(const std::string& id) { running_.erase(id); }
  // Takes a waiting order away; nothing when it runs or is not here.
  std::optional<v1::Order> Remove(absl::string_view id);

 private:
  using Waiting = std::list<v1::Order>;
  Waiting::const_iterator Find(Lane lane) const;

  Waiting waiting_;
  std::map<std::string, v1::Order> running_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_QUEUE_H_
