// What a node was left with when its workload went on elsewhere: kept as an orphan backup once the
// node is back, before anything is put in its place.
#ifndef EMBER_CONTROLLER_PROTECT_ORPHANS_H_
#define EMBER_CONTROLLER_PROTECT_ORPHANS_H_

#include "controller/em_state.h"

namespace ember::controller {

// Asks for orphan backups whose node is back and runs the workload no more, and takes their
// results. Given up, with an alarm, after kOrphanAttemptsMax.
absl::Status KeepOrphans(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// It was not kept, and is not tried any more.
bool IsGivenUp(const record::v1::LeftData& left);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_ORPHANS_H_
