// What a vault has promised and must remember across crashes: sequence and receive time never go
// back, and neither do a workload's placement epoch and fencing token. One small file each, written
// before the promise is made.
#ifndef EMBER_COMMON_VAULT_VAULT_STATE_H_
#define EMBER_COMMON_VAULT_VAULT_STATE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ember::vault {

// Safe for concurrent use.
class VaultState {
 public:
  // `directory` is created. DATA_LOSS when the sequence file is damaged.
  static absl::StatusOr<std::unique_ptr<VaultState>> Open(const std::string& directory);

  struct Stamp {
    uint64_t sequence = 0;
    absl::Time received = absl::UnixEpoch();
  };
  // Later stamps are above this one: what the stored backups show counts even if the state was
  // lost.
  void RaiseTo(const Stamp& seen);
  // The next stamp, durable. `received` is `now`, or just above the last one when the clock went
  // back.
  absl::StatusOr<Stamp> NextStamp(absl::Time now);

  // The next fencing token of `workload`, durable, as is `epoch`. ABORTED when a higher epoch was
  // seen.
  absl::StatusOr<uint64_t> NextToken(const std::string& workload, uint64_t epoch);

 private:
  explicit VaultState(std::string directory) : directory_(std::move(directory)) {}

  const std::string directory_;
  absl::Mutex mu_;
  Stamp last_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_STATE_H_
