// What an agent's result says about a backup that its vault holds.
#ifndef EMBER_CONTROLLER_PROTECT_STORED_BACKUP_H_
#define EMBER_CONTROLLER_PROTECT_STORED_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Fills in the record of a backup just stored, as its vault's receipt has it. True when reading it
// back met damage. A copy of a loss (every file is gone since the newest good one) becomes PARTIAL.
// PERMISSION_DENIED, and nothing filled in: the receipt is missing, or not the vault's.
absl::StatusOr<bool> FillStored(const EmState& em, const v1::BackupResult& result,
                                record::v1::BackupRecord* record)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// `update`, of `node`, is the result of an order that nobody waits for any more (the node had been
// taken for dead, or the run was cancelled): what was stored all the same is shown, not lost.
void TakeLateBackup(const EmState& em, const std::string& node, const v1::OrderUpdate& update,
                    Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_STORED_BACKUP_H_
