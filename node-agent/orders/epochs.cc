#include "node-agent/orders/epochs.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/status.h"

namespace ember::agent {

absl::StatusOr<std::unique_ptr<Epochs>> Epochs::Open(const std::string& path) {
  std::unique_ptr<Epochs> epochs(new Epochs(path));
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return epochs;
  if (!bytes.ok()) return bytes.status();
  absl::MutexLock lock(&epochs->mu_);
  if (!epochs->epochs_.ParseFromString(*bytes)) return Damaged(path, "it does not parse");
  return epochs;
}

absl::Status Epochs::Save(const record::v1::AgentEpochs& next) {
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(path_, next.SerializeAsString()));
  epochs_ = next;
  return absl::OkStatus();
}

absl::Status Epochs::Raise(const std::string& workload, uint64_t epoch) {
  absl::MutexLock lock(&mu_);
  const auto seen = epochs_.workloads().find(workload);
  const uint64_t highest = seen == epochs_.workloads().end() ? 0 : seen->second;
  if (epoch < highest) {
    return absl::AbortedError(absl::StrCat("workload '", workload, "': epoch ", epoch, " is over, ",
                                           highest, " was seen here"));
  }
  if (epoch == highest) return absl::OkStatus();
  record::v1::AgentEpochs next = epochs_;
  (*next.mutable_workloads())[workload] = epoch;
  return Save(next);
}

absl::Status Epochs::RaiseController(uint64_t epoch) {
  absl::MutexLock lock(&mu_);
  controller_seen_ = std::max(controller_seen_, epochs_.controller());
  if (epoch < controller_seen_) {
    return absl::AbortedError(
        absl::StrCat("controller epoch ", epoch, " is over, ", controller_seen_, " was seen here"));
  }
  controller_seen_ = epoch;
  if (epoch == epochs_.controller()) return absl::OkStatus();
  record::v1::AgentEpochs next = epochs_;
  next.set_controller(epoch);
  return Save(next);
}

uint64_t Epochs::controller() const {
  absl::MutexLock lock(&mu_);
  return std::max(controller_seen_, epochs_.controller());
}

uint64_t Epochs::Highest(const std::string& workload) const {
  absl::MutexLock lock(&mu_);
  const auto seen = epochs_.workloads().find(workload);
  return seen == epochs_.workloads().end() ? 0 : seen->second;
}

}  // namespace ember::agent
