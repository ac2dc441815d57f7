// The highest epochs this agent has ever seen: of each workload's placement, and of the controller.
#ifndef EMBER_NODE_AGENT_ORDERS_EPOCHS_H_
#define EMBER_NODE_AGENT_ORDERS_EPOCHS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ember/record/v1/agent_state.pb.h"

namespace ember::agent {

// Durable in one file. Safe for concurrent use.
class Epochs {
 public:
  // DATA_LOSS when the file exists and cannot be read: to forget an epoch could run a workload
  // twice.
  static absl::StatusOr<std::unique_ptr<Epochs>> Open(const std::string& path);

  // ABORTED when a higher one was seen; else remembers `epoch`, durably when OK.
  absl::Status Raise(const std::string& workload, uint64_t epoch);
  // The same for the controller's, which this process remembers also when it could not be stored.
  absl::Status RaiseController(uint64_t epoch);
  // The highest of a controller that was seen; 0: none.
  uint64_t controller() const;
  // The highest seen; 0: none.
  uint64_t Highest(const std::string& workload) const;

 private:
  explicit Epochs(std::string path) : path_(std::move(path)) {}
  absl::Status Save(const record::v1::AgentEpochs& next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  mutable absl::Mutex mu_;
  record::v1::AgentEpochs epochs_ ABSL_GUARDED_BY(mu_);  // as stored
  uint64_t controller_seen_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_EPOCHS_H_
