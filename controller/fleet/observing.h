// A controller that must not decide: one that was made anew and has not heard how things stand, or
// one that was replaced while it was away. It listens and answers questions; nothing else.
#ifndef EMBER_CONTROLLER_FLEET_OBSERVING_H_
#define EMBER_CONTROLLER_FLEET_OBSERVING_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Begins to observe when more than half of the estate's nodes say that they have seen a later
// controller: they follow that one.
absl::Status NoticeSuccessor(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// FAILED_PRECONDITION with the way out while this controller observes: for what would change
// something.
absl::Status RefuseWhileObserving(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What has been heard, and what of the catalog it corrects: where workloads run, and in which
// epoch. With `confirmed` that is written, and this controller decides from then on, as the latest
// that any node has seen. FAILED_PRECONDITION: it does not observe.
absl::StatusOr<v1::ArmReply> Arm(EmState& em, const std::string& who, bool confirmed)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_OBSERVING_H_
