// Copies of another vault's backups (docs/vault.md, replication): pulled, keyless, verbatim.
#ifndef EMBER_COMMON_VAULT_REPLICATION_H_
#define EMBER_COMMON_VAULT_REPLICATION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/vault/copy_records.h"
#include "common/vault/presence.h"
#include "common/vault/ref_set.h"
#include "common/vault/session_table.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault.h"

namespace ember::vault {

// What a replication works on; all of it outlives the replication.
struct ReplicationParts {
  std::string scratch_directory;
  CopyParts copies;
  StoredBackups& backups;
  Presence& presence;
  SessionTable& sessions;
  absl::Mutex& boxes_mu;  // held while recovery boxes are written
  Clock& clock;
};

// One replication; for one thread. No garbage collection may run meanwhile. Interrupted, it leaves
// records that the next one finds (they are kept for kSessionLeaseHours) and backups that are
// whole.
class Replication {
 public:
  Replication(const ReplicationParts& parts, const JobContext& context)
      : parts_(parts), context_(context) {}

  // `backups` of the result: those of the other vault that are here by now. One that cannot be
  // copied is a problem of the result, and the others are copied. An error ends it: UNAVAILABLE the
  // other vault does not answer, RESOURCE_EXHAUSTED, CANCELLED.
  absl::StatusOr<v1::VaultResult> Run(const v1::ReplicateJob& job);

 private:
  struct Fetched {
    v1::StoredBackup backup;
    std::unique_ptr<NewRefSet> ids;
  };
  // An error of these three is of this vault, or ends the job; what is wrong with the backup is a
  // problem of the result.
  absl::Status Settle(const v1::StoredBackup& there);
  absl::Status CopyBackup(const std::string& backup_id, bool is_here);
  absl::StatusOr<bool> IsGoneThere(const std::string& backup_id);

  absl::StatusOr<Fetched> Fetch(const std::string& backup_id);
  absl::Status CheckSessions(const v1::StoredBackup& backup);
  absl::StatusOr<std::unique_ptr<NewRefSet>> FetchIds(const v1::StoredBackup& backup);
  absl::Status TakeBoxes(const v1::StoredBackup& backup);
  // How many the other vault did not give.
  absl::StatusOr<int64_t> CopyRecords(const Fetched& copy);
  absl::Status PublishCopy(const Fetched& copy, int64_t added_bytes);

  const ReplicationParts parts_;
  const JobContext& context_;
  v1::VaultResult result_;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_REPLICATION_H_
