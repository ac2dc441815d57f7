// Brings the index in line with the packs.
#ifndef EMBER_COMMON_VAULT_INDEX_RECOVERY_H_
#define EMBER_COMMON_VAULT_INDEX_RECOVERY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/vault/chunk_index.h"
#include "common/vault/object_store.h"

namespace ember::vault {

struct RecoveredIndex {
  std::unique_ptr<ChunkIndex> index;
  int unreadable_packs = 0;  // neither footer nor records could be read; logged
};

// Opens the index in `directory`. Made anew when it is missing, damaged, another vault's, or names
// packs that are gone; completed with packs that it does not know.
absl::StatusOr<RecoveredIndex> OpenIndex(ObjectStore& store, const std::string& directory,
                                         const std::string& vault_id);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_INDEX_RECOVERY_H_
