// Executes orders: each id once, long kinds beside prompt ones, every result durable before it is
// reported.
#ifndef EMBER_NODE_AGENT_ORDERS_RUNNER_H_
#define EMBER_NODE_AGENT_ORDERS_RUNNER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/orders/epochs.h"
#include "node-agent/orders/ledger.h"
#include "node-agent/orders/queue.h"

namespace ember::agent {

// What a running order is given.
struct OrderContext {
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const v1::Progress&)> progress;  // from any thread, as often as one likes
};

// What orders do. Safe for concurrent use; idempotent.
class OrderActions {
 public:
  virtual ~OrderActions() = default;
  // The order is accepted and durable; it runs later.
  virtual void Accepted(const v1::Order& order) = 0;
  // Fills in the result fields of `update`; what it found before an error goes to the controller,
  // too. CANCELLED soon after `cancelled`.
  virtual absl::Status Do(const v1::Order& order, const OrderContext& context,
                          v1::OrderUpdate* update) = 0;
  // The order is over, with its result durable; once per Accepted. `begun`: Do was called.
  virtual void Over(const v1::Order& order, bool begun) = 0;
};

// Safe for concurrent use.
class OrderRunner {
 public:
  struct Ports {
    Clock* clock = nullptr;
    Ledger* ledger = nullptr;
    Epochs* epochs = nullptr;
    OrderActions* actions = nullptr;
    std::function<void()> urgent;  // a result is there
  };
  // Orders left open by an earlier agent are accepted, but wait, as all do, for Release; its own do
  // not.
  explicit OrderRunner(Ports ports);
  ~OrderRunner();

  void Run();
  // Cancels what runs and leaves it open, to be executed again by the next agent. Waits for the
  // threads.
  void Stop();

  // Makes an order durable. A known id is only reported again. What cannot be stored now is offered
  // again by the controller.
  absl::Status Accept(const v1::Order& order);
  // As Accept, for an order of this agent's own: it waits for nobody's word.
  absl::Status Begin(const v1::Order& order);
  // Lets accepted orders run: called when the configuration that came with them is in force.
  void Release();
  // A waiting order fails at once, a running one soon, both with CANCELLED; a finished one is left
  // alone.
  void Cancel(const std::string& id);

 private:
  struct Running {
    std::atomic<bool> cancelled{false};
    absl::Mutex mu;
    absl::Duration reported ABSL_GUARDED_BY(mu) = -absl::InfiniteDuration();
  };

  void Work(Lane lane);
  void Execute(const v1::Order& order);
  void Finish(const v1::Order& order, const absl::Status& result, bool begun,
              v1::OrderUpdate update);
  // Its result is durable.
  void Announce(const v1::Order& order, const absl::Status& result, bool begun);
  absl::Status CheckEpoch(const v1::Order& order);

  const Ports ports_;
  absl::Mutex mu_;
  OrderQueue queue_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::Order> accepted_ ABSL_GUARDED_BY(mu_);  // not released yet
  std::map<std::string, std::shared_ptr<Running>> running_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Notification stop_;
  std::vector<std::thread> threads_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_RUNNER_H_
