// Brings the index in line with the packs.
#ifndef EMBER_COMMON_VAULT_INDEX_RECOVERY_H_
#define EMBER_COMMON_VAULT_INDEX_RECOVERY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/vault/chunk_index.h"
#include "common/vault/object_store.h"
#include "common/vault/pack_trash.h"
#include "common/vault/vault_state.h"

namespace ember::vault {

struct RecoveredIndex {
  std::unique_ptr<ChunkIndex> index;
  int unreadable_packs = 0;  // neither footer nor records could be read; logged
};

// Opens the index in `directory`. Made anew when it is missing, damaged, another vault's, or names
// packs that are gone; completed with packs that it does not know. Packs in the trash are passed
// over; one that it still names is retired, or comes back when a record has no other copy. Its
// epoch is that of `state`, which is raised when the index knows a higher one. Of two intact copies
// of one id, that of the session which a backup used first is taken (`first_uses`, asked when packs
// are to be added): what came later under the same id may be forged.
absl::StatusOr<RecoveredIndex> OpenIndex(
    ObjectStore& store, const std::string& directory, const std::string& vault_id,
    VaultState& state, PackTrash& trash,
    const std::function<std::map<std::string, uint64_t>()>& first_uses);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_INDEX_RECOVERY_H_
