// Packs that count for nothing any more. They stay where they are, with a mark trash/packs/<name>,
// until their time in the trash is over; a rebuild of the index passes them over.
#ifndef EMBER_COMMON_VAULT_PACK_TRASH_H_
#define EMBER_COMMON_VAULT_PACK_TRASH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/vault/object_store.h"
#include "common/vault/reader_leases.h"

namespace ember::vault {

// The names of packs that have a mark, sorted.
absl::StatusOr<std::vector<std::string>> ListTrashedPacks(ObjectStore& store);

// Safe for concurrent use.
class PackTrash {
 public:
  // `now`: the vault's time, for marks that are damaged. Marks whose pack is gone are removed.
  // `store` must outlive the result.
  static absl::StatusOr<std::unique_ptr<PackTrash>> Load(ObjectStore& store, absl::Time now);

  // Durable when OK. Until Retired it is not unlinked.
  absl::Status Mark(const std::string& name, uint64_t bytes, absl::Time now);
  // The index does not name the pack any more since `moment` (ReaderLeases::Now).
  void Retired(const std::string& name, uint64_t moment);
  // The pack counts again. Durable when OK; OK when it is not in the trash.
  absl::Status Rescue(const std::string& name);
  bool Contains(const std::string& name);

  struct Emptied {
    int64_t packs = 0;
    int64_t bytes = 0;
  };
  // Unlinks the retired packs that were marked at `until` or before and that no reader holds.
  absl::StatusOr<Emptied> Empty(absl::Time until, ReaderLeases& readers);

  int64_t bytes();

 private:
  explicit PackTrash(ObjectStore& store) : store_(store) {}

  struct Item {
    absl::Time trashed;
    uint64_t bytes = 0;
    bool retired = false;
    uint64_t moment = 0;
  };

  ObjectStore& store_;
  absl::Mutex mu_;  // also held while a pack is unlinked, so that Rescue comes before or after
  std::map<std::string, Item> items_ ABSL_GUARDED_BY(mu_);  // by pack name
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PACK_TRASH_H_
