// Scheduled backups while the controller is away: each agent is given the next few of its workloads
// beforehand, with their grants, and tells afterwards which it has made.
#ifndef EMBER_CONTROLLER_PROTECT_RESERVED_BACKUPS_H_
#define EMBER_CONTROLLER_PROTECT_RESERVED_BACKUPS_H_

#include <string>

#include "controller/em_state.h"

namespace ember::controller {

// Reserves what comes next of every schedule, where it is not reserved yet.
absl::Status ReserveBackups(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What of that is still to come for a workload at its present place; empty when nothing is.
v1::OfflineBackups OfflineBackupsOf(const EmState& em, const record::v1::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The controller runs the backup of `policy` that was due at `due` itself: neither it nor an
// earlier one is to be made without it any more.
void DropReserved(const std::string& policy, absl::Time due, record::v1::WorkloadRecord* workload);

// `order_id` is of a backup that `node` may have made by itself, and that is not recorded yet.
bool IsReservedOrder(const EmState& em, const std::string& node, const std::string& order_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// `update`, of `node`, is of an order that nobody gave. When it is of a backup that the agent began
// by itself, the run, the backup and the order are recorded as if they had been made here.
absl::Status TakeOfflineBackup(EmState& em, const std::string& node, const v1::OrderUpdate& update)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_RESERVED_BACKUPS_H_
