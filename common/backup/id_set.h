// Sets of record ids that may be larger than memory.
#ifndef EMBER_COMMON_BACKUP_ID_SET_H_
#define EMBER_COMMON_BACKUP_ID_SET_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/backup/record.h"
#include "common/base/limits.h"
#include "common/base/pieces.h"
#include "common/base/scratch_file.h"

namespace ember::backup {

// Ids that stand one after the other in a scratch file.
class IdCursor {
 public:
  // Bytes [begin, end) of `file`, which must outlive the cursor and not change.
  IdCursor(const ScratchFile& file, uint64_t begin, uint64_t end)
      : file_(&file), next_(begin), end_(end) {}
  // The next one; empty at the end. Valid until the next call.
  absl::StatusOr<absl::string_view> Next();

 private:
  const ScratchFile* file_;
  uint64_t next_;
  uint64_t end_;
  std::string piece_;
  size_t at_ = 0;
};

// Sorted runs that are merged at the end. Use from one thread.
class IdSet {
 public:
  // At most `in_memory` ids are kept there; scratch files are made in `directory`.
  explicit IdSet(std::string directory, size_t in_memory = kIdsInMemory);

  // In any order, each as often as one likes.
  absl::Status Add(const RecordId& id);
  // Nothing was added.
  bool empty() const { return run_.empty() && run_ends_.empty() && sorted_.size() == 0; }
  // Once, after the last Add and before what follows.
  absl::Status Sort();

  uint64_t size() const { return sorted_.size() / sizeof(RecordId); }
  // Ascending, each once.
  IdCursor Begin() const { return IdCursor(sorted_, 0, sorted_.size()); }
  // The same, joined.
  absl::Status Visit(const PieceSink& sink) const { return sorted_.Visit(kIdsReadBytes, sink); }

 private:
  void SortRun();
  absl::Status EndRun();
  absl::Status Merge();

  const size_t in_memory_;
  std::vector<RecordId> run_;
  ScratchFile runs_;
  std::vector<uint64_t> run_ends_;
  ScratchFile sorted_;
};

// Calls `visit` with each id of `wanted` that `had` lacks, ascending. Both are sorted.
absl::Status VisitMissing(const IdSet& wanted, const IdSet& had,
                          const std::function<absl::Status(const RecordId& id)>& visit);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_ID_SET_H_
