// How a pack that was written becomes part of a vault.
#ifndef EMBER_COMMON_VAULT_TAKE_PACK_H_
#define EMBER_COMMON_VAULT_TAKE_PACK_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"

namespace ember::vault {

// Publishes the pack and adds it to the index; what it heals is no longer damaged. A pack of the
// same bytes that is in the trash comes back. Returns its size in bytes. UNAVAILABLE: that pack was
// unlinked at this very moment; write it again.
absl::StatusOr<uint64_t> TakePack(PackWriter& writer, ObjectStore& store, ChunkIndex& index,
                                  PackTrash& trash, DamagedIds& damaged);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_TAKE_PACK_H_
