// Which backups may go.
#ifndef EMBER_CONTROLLER_PROTECT_DELETABLE_H_
#define EMBER_CONTROLLER_PROTECT_DELETABLE_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/em_state.h"

namespace ember::controller {

// What an open run or recovery reads, by backup: the id of that run or recovery.
std::map<std::string, std::string> BackupsInUse(const EmState& em)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Why it cannot go now, whatever else is there (pinned, held by its vault, in use); empty: it can.
// `in_use`: as of BackupsInUse.
std::string WhyNotDeletable(const EmState& em, const record::v1::BackupRecord& backup,
                            const std::map<std::string, std::string>& in_use)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// FAILED_PRECONDITION with the reason: pinned, the newest good one of its workload, in use, not
// made yet, or deleted already. The vault has rules of its own on top (docs/vault.md).
absl::Status CheckDeletable(const EmState& em, const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// For how long the vault keeps what was deleted.
absl::Duration TrashWindow(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_DELETABLE_H_
