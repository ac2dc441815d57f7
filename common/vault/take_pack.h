// How a pack that was written becomes part of a vault.
#ifndef EMBER_COMMON_VAULT_TAKE_PACK_H_
#define EMBER_COMMON_VAULT_TAKE_PACK_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"

namespace ember::vault {

// Per id: does the index have it, or one that begins alike, of another domain? Such a record must
// not get into a pack: a rebuilt index would have to choose between the two.
absl::StatusOr<std::vector<bool>> AreOfAnotherDomain(ChunkIndex& index,
                                                     const std::vector<absl::string_view>& ids,
                                                     absl::string_view domain_id);

// Publishes the pack and adds it to the index; what it heals is no longer damaged. A pack of the
// same bytes that is in the trash comes back. Returns its size in bytes. UNAVAILABLE: that pack was
// unlinked at this very moment; write it again.
absl::StatusOr<uint64_t> TakePack(PackWriter& writer, ObjectStore& store, ChunkIndex& index,
                                  PackTrash& trash, DamagedIds& damaged);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_TAKE_PACK_H_
