// Work on a vault (docs/vault.md): deletion, undeletion, garbage collection, check, replication,
// rebuild of the index. The engine does it in the agent that hosts the vault; here is who may ask
// for what, and what becomes of the answer. Lost answers are survived: a backup counts as trashed
// from the moment its deletion may have happened.
#ifndef EMBER_CONTROLLER_PROTECT_VAULT_JOBS_H_
#define EMBER_CONTROLLER_PROTECT_VAULT_JOBS_H_

#include <string>

#include "absl/status/statusor.h"
#include "controller/em_state.h"
#include "ember/v1/control.pb.h"

namespace ember::controller {

// A run that is work on a vault rather than on a workload.
bool IsVaultJob(const v1::Run& run);

// The wishes of `who` as runs in PENDING, not yet written. FAILED_PRECONDITION: refused, with the
// reason, or a confirmation is missing, with what would be lost. Never the newest good backup of
// its workload, never a pinned one, never one in use.
absl::StatusOr<record::v1::RunRecord> WishDelete(const EmState& em, const std::string& who,
                                                 const v1::DeleteBackupRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
absl::StatusOr<record::v1::RunRecord> WishUndelete(const EmState& em, const std::string& who,
                                                   const std::string& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
// A run of `kind` (delete, undelete) on what the backup's vault holds of it. NOT_FOUND: that vault
// is not declared.
absl::StatusOr<record::v1::RunRecord> WishFor(const EmState& em, absl::string_view kind,
                                              const std::string& who,
                                              const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
// INVALID_ARGUMENT: no such job, or an option of another job.
absl::StatusOr<record::v1::RunRecord> WishVaultJob(const EmState& em, const std::string& who,
                                                   const v1::VaultJobRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Another job of the same vault is under way.
bool VaultBusy(const EmState& em, const record::v1::RunRecord& run)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Fills `order` and returns the node it goes to. What must be true once it is sent goes into
// `batch`. UNAVAILABLE: that node is not ALIVE. FAILED_PRECONDITION: a deletion that is no longer
// permitted.
absl::StatusOr<std::string> FillVaultOrder(const EmState& em, const record::v1::RunRecord& run,
                                           v1::Order* order, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Records in `batch` what the engine did. Returns the sentence for the run's event, empty for none.
// DATA_LOSS: a check found damage that was not repaired, a backup could not be copied.
absl::StatusOr<std::string> TakeVaultResult(const EmState& em, const record::v1::RunRecord& run,
                                            const v1::VaultResult& result, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The same for a job that failed with `code`.
void TakeVaultFailure(const EmState& em, const record::v1::RunRecord& run, absl::StatusCode code,
                      Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What is remembered of the vault; an empty record with its name when nothing is.
record::v1::VaultRecord VaultRecordOf(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Adds the garbage collections, checks and replications that the estate's `gc`, `check`,
// `replicate_from` and the vaults of its policies ask for; a collection also when something in the
// trash is due and nobody asks. At most one of a kind per vault.
absl::Status AddDueVaultJobs(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Writes the end of a check, a collection or a replication into the vault's record, whatever its
// outcome; of other runs nothing is written. `run` is as it will be stored.
void NoteVaultJobEnd(const EmState& em, const record::v1::RunRecord& run, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_VAULT_JOBS_H_
