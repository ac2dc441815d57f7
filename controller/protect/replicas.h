// Copies of backups in further vaults: made by replication (docs/vault.md), used when the vault
// that a backup was committed to cannot be reached.
#ifndef EMBER_CONTROLLER_PROTECT_REPLICAS_H_
#define EMBER_CONTROLLER_PROTECT_REPLICAS_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Its vault, then those that have a copy.
std::vector<std::string> HoldersOf(const record::v1::BackupRecord& backup);

// The vault itself, unless another disk is in its place, or a copy.
bool IsIn(const EmState& em, const record::v1::BackupRecord& backup, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The vault's node is ALIVE and has it open.
bool IsServed(const EmState& em, const std::string& vault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The id of the vault as it is served now; empty when it is not.
std::string VaultIdNow(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// False: its vault is served, and is another one than the one that took the backup.
bool IsDiskThere(const EmState& em, const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Where the backup can be read from: its vault when that is served, else the first of its copies
// that is. Otherwise as AddressOf its own vault.
absl::StatusOr<v1::VaultAddress> NearestCopy(const EmState& em,
                                             const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Workloads of whose policies one names the vault: a backup of them belongs there, wherever it was
// committed.
std::set<std::string> WorkloadsOf(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The vaults from which `vault` should copy now: they have a backup which `vault` lacks, and are of
// its `replicate_from`, or the backup's policies name `vault`. Only served ones, and none unless
// `vault` is. `fresh`: only backups that came since then.
std::set<std::string> SourcesToCopyFrom(const EmState& em, const v1::VaultSpec& vault,
                                        absl::Time fresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The job's order: all that the source has, or, where only policies ask for copies, what they do.
// FAILED_PRECONDITION: they ask for none any more.
absl::StatusOr<v1::ReplicateJob> FillReplicate(const EmState& em, const record::v1::RunRecord& run)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Records in `batch` which backups are in the run's vault by now. Returns the sentence for the
// run's event; empty when there is no news. DATA_LOSS: some could not be copied.
absl::StatusOr<std::string> TakeReplicas(const EmState& em, const record::v1::RunRecord& run,
                                         const v1::VaultResult& result, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// There is no copy in `vault`, as far as is known.
void RemoveCopy(const std::string& vault, record::v1::BackupRecord* backup);

// The copy in `vault` lost records: it is none any more, until a replication has made it whole.
void DropCopy(const record::v1::BackupRecord& backup, const std::string& vault,
              absl::string_view why, Batch* batch);

// Somebody who read the copy in `vault` met damage. What else of it is damaged the vault does not
// know, so a replication would take it for whole: there is none before every byte of the vault was
// checked.
void DropCopyUntilChecked(const record::v1::BackupRecord& backup, const std::string& vault,
                          absl::string_view why, Batch* batch);
bool AwaitsCheck(const record::v1::BackupRecord& backup, const std::string& vault);
// Every byte of `vault` was checked. True: `backup` awaited that.
bool NoteChecked(record::v1::BackupRecord* backup, const std::string& vault);

// The copy in `vault` was read, decrypted and compared, to `level`.
void NoteCopyVerified(record::v1::BackupRecord* backup, const std::string& vault,
                      const std::string& level, absl::Time now);

// The backup is gone from its vault. True: a copy takes its place, since deletions do not
// propagate.
bool PromoteCopy(record::v1::BackupRecord* backup);

// The vaults that hold it, and what is known of its copies, as people see them.
void ShowVaults(record::v1::BackupRecord* backup);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_REPLICAS_H_
