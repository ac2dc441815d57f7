// catalog/<number>: what a lost controller is made anew from (docs/formats.md, catalog exports).
// The vault keeps them like everything else: without a key, checked by their digests.
#ifndef EMBER_COMMON_VAULT_CATALOG_EXPORTS_H_
#define EMBER_COMMON_VAULT_CATALOG_EXPORTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/vault/object_store.h"

namespace ember::vault {

// Safe for concurrent use. `store` must outlive it.
class CatalogExports {
 public:
  struct Newest {
    uint64_t number = 0;  // 0: there is none
    absl::Time made = absl::InfinitePast();
  };

  // Looks at what is there. A damaged export counts as absent, so that a new one comes.
  static absl::StatusOr<std::unique_ptr<CatalogExports>> Load(ObjectStore& store);

  // Durable when OK, and only the newest kExportsKept are left then. INVALID_ARGUMENT: not a whole
  // export. FAILED_PRECONDITION: not newer than the newest, or of a newer Ember.
  absl::Status Take(absl::string_view bytes);

  Newest newest() const;
  // Reads all of them: the names of those that are damaged.
  absl::StatusOr<std::vector<std::string>> FindDamaged() const;

 private:
  explicit CatalogExports(ObjectStore& store) : store_(store) {}

  ObjectStore& store_;
  mutable absl::Mutex mu_;
  Newest newest_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_CATALOG_EXPORTS_H_
