// Reads and checks every record of a backup, or of a sample of its files, once, however often it is
// used.
#ifndef EMBER_COMMON_BACKUP_VERIFY_RUN_H_
#define EMBER_COMMON_BACKUP_VERIFY_RUN_H_

#include <deque>
#include <functional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/manifest.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/record_window.h"
#include "common/backup/restore_reader.h"

namespace ember::backup {

// Use once, from one thread. Beyond kKnownIdsMax records one that is used again much later is read,
// and counted, again.
class VerifyRun {
 public:
  struct Context {
    const RestoreOptions* options = nullptr;
    ManifestReader* manifest = nullptr;
    RecordWindow* window = nullptr;
    std::function<void(absl::string_view path, const absl::Status& why)> damaged;  // each path once
  };
  explicit VerifyRun(Context context) : context_(std::move(context)) {}
  // Damage does not end it.
  absl::Status Run();
  const ManifestTotals& totals() const { return totals_; }  // the whole backup's
  int64_t files_checked() const { return static_cast<int64_t>(totals_.files) - files_skipped_; }
  int64_t bytes_checked() const { return static_cast<int64_t>(totals_.bytes) - bytes_skipped_; }
  int64_t files_skipped() const { return files_skipped_; }
  int64_t records() const { return records_; }

 private:
  // An extent whose record is on its way.
  struct Waiting {
    RecordId id{};
    std::string path;
    uint64_t end = 0;  // within the record
    size_t charge = 0;
  };
  absl::Status Check(const std::string& path, const format::v1::Extent& extent);
  absl::Status FinishDownTo(size_t count);
  absl::Status Finish(const Waiting& waiting);
  void CheckEnd(const std::string& path, uint64_t end, uint64_t size);
  bool IsInSample(const format::v1::Entry& entry);
  void Damaged(const std::string& path, const absl::Status& why);
  void Report();

  const Context context_;
  ManifestTotals totals_;
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  // Of the records checked; the older half is forgotten when the newer one is full.
  using Sizes = absl::flat_hash_map<RecordIdPrefix, uint32_t>;
  const uint32_t* SizeOf(const RecordId& id) const;
  Sizes newer_sizes_, older_sizes_;
  int64_t records_ = 0;
  absl::BitGen random_;
  bool sampled_ = true;  // the file whose parts come now
  int64_t files_skipped_ = 0;
  int64_t bytes_skipped_ = 0;
  std::string damaged_path_;  // the last one
  v1::Progress progress_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_VERIFY_RUN_H_
