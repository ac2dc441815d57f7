// The order that an open run sends next.
#ifndef EMBER_CONTROLLER_PROTECT_RUN_ORDERS_H_
#define EMBER_CONTROLLER_PROTECT_RUN_ORDERS_H_

#include <string>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// The backup is stored, and reading it back did not come to an end: the next order verifies it.
bool ReadBackIsOpen(const record::v1::RunRecord& run);

// A verification of the copy in the run's vault, not of the backup itself.
bool VerifiesCopy(const record::v1::RunRecord& run, const record::v1::BackupRecord& backup);

// Nobody asked for it.
bool IsScheduled(const record::v1::RunRecord& run);

struct FilledOrder {
  absl::StatusOr<std::string> node;  // that it goes to; UNAVAILABLE: a node is not ALIVE
  bool vault_is_new = false;         // why there is none: the vault's node has hardly heard of it
};
// Fills `order` in but for its id. What that decides (a backup's id and its record) goes into `run`
// and `batch`.
FilledOrder FillOrder(EmState& em, record::v1::RunRecord* run, v1::Order* order, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_RUN_ORDERS_H_
