// Records that were found damaged. The vault answers "absent" for them, so that the next backup
// sends them again; the index still knows the damaged copy and prefers an intact one as soon as it
// comes.
#ifndef EMBER_COMMON_VAULT_DAMAGED_IDS_H_
#define EMBER_COMMON_VAULT_DAMAGED_IDS_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace ember::vault {

// Safe for concurrent use.
class DamagedIds {
 public:
  // Remembered in the file `path`. A damaged file is taken for empty: what it listed is found again
  // when read.
  static absl::StatusOr<std::unique_ptr<DamagedIds>> Open(const std::string& path);

  void Add(absl::string_view id);
  void Remove(absl::string_view id);
  bool Contains(absl::string_view id);
  std::set<std::string> All();
  int64_t size();
  // Rises with every id added: what was found complete before may not be any more.
  uint64_t generation();

 private:
  explicit DamagedIds(std::string path) : path_(std::move(path)) {}
  void Save() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  absl::Mutex mu_;
  std::set<std::string> ids_ ABSL_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_DAMAGED_IDS_H_
