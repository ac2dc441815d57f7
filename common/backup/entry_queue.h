// Entries on their way into the manifest, in path order, each when the ids of its content are
// known.
#ifndef EMBER_COMMON_BACKUP_ENTRY_QUEUE_H_
#define EMBER_COMMON_BACKUP_ENTRY_QUEUE_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/entry_cache.h"
#include "common/backup/id_set.h"
#include "common/backup/manifest.h"
#include "common/backup/pending_content.h"
#include "common/backup/upload_pipeline.h"

namespace ember::backup {

// Builds the manifest, the new cache and the list of references. Use from one thread.
class EntryQueue {
 public:
  // `pipeline` must outlive all calls but PublishCache. `cache` may be null. `scratch_directory`:
  // as of IdSet.
  EntryQueue(absl::string_view cut_key, UploadPipeline* pipeline,
             std::unique_ptr<EntryCacheWriter> cache, std::string scratch_directory);

  // Waits when more than twice kPendingEntriesMax entries wait already: the first of them is then
  // in a closed group (GroupPacker::Passed), so the wait ends.
  absl::Status Push(PendingEntry pending);
  // What the cache knows whole.
  absl::Status PushCached(const CachedEntry& cached);
  // The manifest's root, once all groups are closed.
  absl::StatusOr<RecordId> Finish();
  const ManifestTotals& totals() const { return builder_.totals(); }
  // All record ids of the manifest and below, once after Finish. They go into the cache, too.
  absl::StatusOr<const IdSet*> SortReferences();
  void PublishCache(const EntryCacheHeader& header);

 private:
  absl::Status EmitResolved();
  absl::Status EmitFront();
  // The next entry of the manifest, or part of one; `stamp` null: not for the cache.
  absl::Status Emit(const format::v1::Entry& entry, absl::string_view encoded,
                    const SourceStamp* stamp);
  absl::Status WaitForFront();
  absl::StatusOr<RecordId> Store(RecordType::Value type, std::string bytes);
  absl::Status Refer(const RecordId& id);

  UploadPipeline* const pipeline_;
  std::unique_ptr<EntryCacheWriter> cache_;
  ManifestBuilder builder_;
  std::deque<PendingEntry> pending_;
  size_t pending_extents_ = 0;
  IdSet references_;
  RecordId last_reference_{};
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_ENTRY_QUEUE_H_
