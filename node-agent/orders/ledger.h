// Every order this agent was given: executed once, whatever is repeated and whoever crashes.
//
//   (new) --Accept--> open --Finish--> finished --Acknowledge--> remembered (no body, no result)
//
// Open orders survive a restart and are executed again; backups, restores, starts and stops are all
// idempotent.
#ifndef EMBER_NODE_AGENT_ORDERS_LEDGER_H_
#define EMBER_NODE_AGENT_ORDERS_LEDGER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ember/record/v1/agent_state.pb.h"

namespace ember::agent {

// One file per order in one directory. Safe for concurrent use.
class Ledger {
 public:
  // Creates the directory. A file that does not parse is set aside as NAME.damaged and logged: the
  // order is then given again by the controller, and doing it twice is safe.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& directory);

  // True: new, durable, to be executed. False: known; its state is reported again with the next
  // beat. RESOURCE_EXHAUSTED: there is no room to store it, and no trace of it is left.
  // UNAVAILABLE: kOrdersOpenMax are open, or it is not certain that no trace is left.
  absl::StatusOr<bool> Accept(const v1::Order& order);
  // Running, and how far. Not durable. Nothing for an order that is not open.
  void Report(const std::string& id, const v1::Progress& progress);
  // The result: state DONE or FAILED. Durable when OK. NOT_FOUND: not an open order.
  absl::Status Finish(const v1::OrderUpdate& update);
  // The controller has recorded the result. Unknown ids and open orders are left alone.
  absl::Status Acknowledge(const std::string& id);

  // Open orders, oldest first.
  std::vector<v1::Order> OpenOrders() const;
  // What the next beat tells, at most kOrderUpdatesPerBeat: results not acknowledged or asked about
  // again, then what is open; each oldest first.
  std::vector<v1::OrderUpdate> Updates() const;

 private:
  struct Entry {
    record::v1::AgentOrder record;
    bool repeated = false;  // acknowledged, but asked about again
  };

  explicit Ledger(std::string directory) : directory_(std::move(directory)) {}
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Save(const record::v1::AgentOrder& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string PathOf(const std::string& id) const;
  Entry* Find(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  mutable absl::Mutex mu_;
  std::map<uint64_t, Entry> by_sequence_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> sequence_of_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, std::string> unacknowledged_
      ABSL_GUARDED_BY(mu_);  // sequence → id; repeats included
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_LEDGER_H_
