// The ids that are surely in the vault, as many of them as memory allows.
#ifndef EMBER_COMMON_BACKUP_KNOWN_IDS_H_
#define EMBER_COMMON_BACKUP_KNOWN_IDS_H_

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/backup/record.h"
#include "common/base/limits.h"

namespace ember::backup {

// When it is full, the older half is forgotten: the vault then has to be asked about what is not
// here. Not thread-safe.
class KnownIds {
 public:
  explicit KnownIds(size_t ids_max = kKnownIdsMax) : half_(ids_max / 2) {}

  // True when it was not here.
  bool Insert(const RecordIdPrefix& id) {
    if (older_.contains(id) || !newer_.insert(id).second) return false;
    if (newer_.size() < half_) return true;
    forgot_ = forgot_ || !older_.empty();
    older_ = std::exchange(newer_, {});
    return true;
  }
  bool forgot() const { return forgot_; }

 private:
  size_t half_;
  absl::flat_hash_set<RecordIdPrefix> newer_;
  absl::flat_hash_set<RecordIdPrefix> older_;
  bool forgot_ = false;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_KNOWN_IDS_H_
