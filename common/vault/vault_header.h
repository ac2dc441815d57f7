// The object `VAULT`: which vault this is, and which Ember may open it.
#ifndef EMBER_COMMON_VAULT_VAULT_HEADER_H_
#define EMBER_COMMON_VAULT_VAULT_HEADER_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/vault/object_store.h"

namespace ember::vault {

// The vault's id. NOT_FOUND when there is no header; else as below.
absl::StatusOr<std::string> ReadHeader(ObjectStore& store);

// The vault's id; the header is written when there is none. FAILED_PRECONDITION: made by a newer
// Ember. DATA_LOSS.
absl::StatusOr<std::string> ReadOrMakeHeader(ObjectStore& store, Clock& clock);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_HEADER_H_
