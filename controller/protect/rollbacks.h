// A vault's disk that went back in time: a restored image, a snapshot rolled back, an old disk
// plugged in again.
#ifndef EMBER_CONTROLLER_PROTECT_ROLLBACKS_H_
#define EMBER_CONTROLLER_PROTECT_ROLLBACKS_H_

#include "absl/status/status.h"
#include "controller/em_state.h"

namespace ember::controller {

// Its vault's receipt says that `backup` is stored: the vault has come so far.
void NoteCommit(EmState& em, const record::v1::BackupRecord& backup, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Remembers how far each served vault has come, and compares. A disk whose newest commit is older
// than one that it told of before does not hold what it confirmed in between: of such a backup a
// copy takes its place, or it is damaged; what the vault has of copies is looked at anew. The alarm
// stays until a check of the vault has passed.
absl::Status NoticeRollbacks(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_ROLLBACKS_H_
