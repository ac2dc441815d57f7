// Which deletions a vault refuses, and the two jobs that delete and undelete (docs/vault.md,
// deleting).
#ifndef EMBER_COMMON_VAULT_DELETION_H_
#define EMBER_COMMON_VAULT_DELETION_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault.h"
#include "common/vault/vault_state.h"
#include "ember/v1/agent.pb.h"

namespace ember::vault {

// Safe for concurrent use: what the budget allows is counted and used up in one go.
class DeletionJobs {
 public:
  // All must outlive this.
  DeletionJobs(StoredBackups& backups, VaultState& state, Clock& clock)
      : backups_(backups), state_(state), clock_(clock) {}

  // Moves to the trash. What is there already, or purged, counts as done. NOT_FOUND and
  // FAILED_PRECONDITION (refused, with the reason): nothing was deleted.
  absl::StatusOr<v1::VaultResult> Delete(const v1::DeleteBackupsJob& job, const VaultRules& rules,
                                         const JobContext& context);
  // NOT_FOUND, also when the backup is purged: nothing was undeleted.
  absl::StatusOr<v1::VaultResult> Undelete(const v1::UndeleteBackupsJob& job,
                                           const JobContext& context);

 private:
  absl::Status CheckBudget(int64_t wanted, int percent, absl::Time now);

  StoredBackups& backups_;
  VaultState& state_;
  Clock& clock_;
  absl::Mutex mu_;  // one job at a time
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_DELETION_H_
