// What a vault has promised and must remember across crashes: sequence and receive time never go
// back, and neither do the epoch of garbage collection, a workload's placement epoch and its
// fencing token. One small file each, written before the promise is made.
#ifndef EMBER_COMMON_VAULT_VAULT_STATE_H_
#define EMBER_COMMON_VAULT_VAULT_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ember::vault {

// Safe for concurrent use.
class VaultState {
 public:
  // `directory` is created. DATA_LOSS when the file of the sequence or of the epochs is damaged.
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

  // Of the newest stamp, or what it was raised to.
  uint64_t sequence();

  // The vault's time: `now`, or the latest receive time when the clock went back.
  absl::Time TimeAt(absl::Time now);

  // The current epoch, from 1.
  uint32_t epoch();
  // Later epochs are not below this one: what the index shows counts even if the state was lost.
  void RaiseEpochTo(uint32_t seen);
  // Begins the next epoch, durable.
  absl::StatusOr<uint32_t> NextEpoch(absl::Time now);
  // What was stored in an earlier epoch than this is older than `time`. 0 when that is not known.
  uint32_t EpochAt(absl::Time time);

  // The newest backup of a domain.
  struct ChainHead {
    uint64_t sequence = 0;
    std::string record_sha256;
  };
  // Remembered, durable as far as the disk allows: an old head is still one that must be there.
  void SetHead(const std::string& domain_id, ChainHead head);
  std::map<std::string, ChainHead> Heads();  // by domain

  // The next fencing token of `workload`, durable, as is `epoch`. ABORTED when a higher epoch was
  // seen.
  absl::StatusOr<uint64_t> NextToken(const std::string& workload, uint64_t epoch);

 private:
  explicit VaultState(std::string directory) : directory_(std::move(directory)) {}

  struct EpochStart {
    uint32_t epoch = 1;
    absl::Time started;
  };
  absl::Status LoadEpochs();
  absl::Status LoadHeads();
  uint32_t LastEpoch() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  absl::Mutex mu_;
  Stamp last_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ChainHead> heads_ ABSL_GUARDED_BY(mu_);
  std::vector<EpochStart> epochs_ ABSL_GUARDED_BY(mu_);  // ascending; as far back as anybody asks
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_STATE_H_
