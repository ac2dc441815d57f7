// What agents are sure to know: it decides what their silence proves.
#ifndef EMBER_CONTROLLER_FLEET_TOLD_H_
#define EMBER_CONTROLLER_FLEET_TOLD_H_

#include "controller/em_state.h"

namespace ember::controller {

// Writes down, for every agent that has stored the configuration of this moment, which peers it
// knows and which workloads it would stop by itself. What the estate no longer wants stopped counts
// as not known at once (see workload_update.cc).
absl::Status RecordTold(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_TOLD_H_
