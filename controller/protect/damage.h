// What becomes of a backup whose data turned out to be bad.
#ifndef EMBER_CONTROLLER_PROTECT_DAMAGE_H_
#define EMBER_CONTROLLER_PROTECT_DAMAGE_H_

#include "absl/strings/string_view.h"
#include "controller/em_state.h"

namespace ember::controller {

// Data of `backup` was met damaged or lost: from `batch` on it is not good, not shown as verified,
// and no recovery chooses it, until a verification reads every byte of it. With an event when that
// is news.
void MarkDamaged(const record::v1::BackupRecord& backup, absl::string_view why, Batch* batch);

// The damage that a finished order of any kind tells of, marked; nothing when it tells of none.
void MarkDamageMet(const EmState& em, const v1::Order& order, const v1::OrderUpdate& update,
                   Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_DAMAGE_H_
