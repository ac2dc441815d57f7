// Making damaged packs whole again: from their own parity; see docs/vault.md,
// checking and repairing.
#ifndef EMBER_COMMON_VAULT_REPAIR_H_
#define EMBER_COMMON_VAULT_REPAIR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/object_store.h"

namespace ember::vault {

// The pack `name` from its damaged bytes: what is returned has `name` for its SHA-256. Needs a
// start, records and parity of which no stripe has lost more slices than it has parity for, and one
// of the two copies of the parity's table; a footer that is lost is made again. Without any damage
// to start and records both tables and all parity may be lost. DATA_LOSS otherwise.
absl::StatusOr<std::string> RepairPack(absl::string_view name, absl::string_view bytes);

// Replaces the stored pack by what RepairPack makes of it. DATA_LOSS: nothing is overwritten.
// RESOURCE_EXHAUSTED: no room for a second copy.
absl::Status RepairStoredPack(ObjectStore& store, absl::string_view name, absl::string_view bytes);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_REPAIR_H_
