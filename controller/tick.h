// The one decider. Everything else records facts.
#ifndef EMBER_CONTROLLER_TICK_H_
#define EMBER_CONTROLLER_TICK_H_

#include "controller/em_state.h"

namespace ember::controller {

// Looks at everything once, in the written order: own stalls, nodes, workloads, recoveries,
// schedules, runs. An error (a full disk) ends this tick; what it decided before stands, and the
// next tick goes on from there.
absl::Status Tick(EmState& em) ABSL_LOCKS_EXCLUDED(em.mu);

// To be called once after opening the catalog: raises the EM's epoch and starts its grace.
absl::Status BeginTerm(EmState& em) ABSL_LOCKS_EXCLUDED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_TICK_H_
