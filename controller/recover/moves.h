// Moves that nobody's death is the cause of: asked for, from a drained node, or back home.
#ifndef EMBER_CONTROLLER_RECOVER_MOVES_H_
#define EMBER_CONTROLLER_RECOVER_MOVES_H_

#include <string>
#include <vector>

#include "controller/em_state.h"

namespace ember::controller {

// Adds the move of `workload` to `node` (empty: to its home) to `batch`; `cause` in words for the
// owner. NOT_FOUND: no such workload or node. FAILED_PRECONDITION, with the reason: not now.
absl::StatusOr<record::v1::RecoveryRecord> BeginMove(const EmState& em, const std::string& workload,
                                                     const std::string& node,
                                                     absl::string_view cause, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Begins those that are due: one at a time away from each drained node, and back to a home that has
// been well for `fail_back`. What failed once is not tried again by itself before the node is
// drained, or comes back, again.
absl::Status BeginDueMoves(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Drains `node`, or ends that: then what was moved away comes home as after any other absence.
void SetDrained(const EmState& em, bool on, record::v1::NodeRecord* node, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What becomes of each workload that is on `node` while it is drained.
std::vector<v1::DrainStep> DrainPlan(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_MOVES_H_
