// One restore: the manifest gives entries, the window their records, the target gets both in path
// order.
#ifndef EMBER_COMMON_BACKUP_RESTORE_RUN_H_
#define EMBER_COMMON_BACKUP_RESTORE_RUN_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/entry_path.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/record_window.h"
#include "common/backup/restore_reader.h"

namespace ember::backup {

// Use once, from one thread.
class RestoreRun {
 public:
  struct Context {
    const RestoreOptions* options = nullptr;
    ManifestReader* manifest = nullptr;  // filtered by options->paths
    // A reader of the same manifest for one path.
    std::function<std::unique_ptr<ManifestReader>(const std::string& path)> manifest_of;
    RecordWindow* window = nullptr;
    RestoreTarget* target = nullptr;
    std::vector<v1::PathProblem>* holes = nullptr;  // may be null
    // The error that a person sees for damage at a path.
    std::function<absl::Status(absl::string_view path, const absl::Status& why)> damaged;
    int64_t bytes_total = 0;
    int64_t files_total = 0;
  };
  explicit RestoreRun(Context context);
  absl::Status Run();

 private:
  // An entry, or a part of one, read ahead.
  struct Part {
    format::v1::Entry entry;  // without content
    google::protobuf::RepeatedPtrField<format::v1::Extent> extents;
    std::string inline_content;
    std::vector<size_t> charges;  // of the first extents: those that are asked for
  };
  // Reads one part more; sets ended_ at the end of the manifest.
  absl::Status Pull();
  absl::StatusOr<bool> NextEntry(format::v1::Entry* entry);
  absl::Status FollowHardLink(format::v1::Entry* link);
  // Reads ahead and asks for records while the window has room.
  absl::Status Fill();
  void WantNext(Part* part);
  void PopFront();
  // Is the front a further part of `path`? Pulls when nothing is ahead.
  absl::StatusOr<bool> FrontContinues(const std::string& path);

  absl::Status DeliverEntry();
  absl::Status DeliverContent(const std::string& path, absl::Status* content);
  absl::Status DeliverFront(const std::string& path, absl::Status* content);
  absl::Status DeliverExtent(const std::string& path, const format::v1::Extent& extent,
                             absl::Status* content);
  absl::Status SkipContent(const std::string& path);
  // Lets the damage pass as a hole, or returns the error that ends the restore.
  absl::Status Hole(const std::string& path, const absl::Status& why, absl::Status* content);
  absl::Status CheckCancelled() const;
  void Report(bool force);

  const Context context_;
  const PathFilter filter_;
  std::deque<Part> ahead_;
  size_t next_to_want_ = 0;  // index in ahead_
  bool ended_ = false;
  size_t window_bytes_ = 0;  // asked for and not released
  RecordId last_wanted_{};
  size_t window_max_;
  std::unique_ptr<ManifestReader> linked_;  // gives the further parts of a hard link's first name
  std::string linked_path_;
  // First names that are not wanted → the first wanted name of the same inode, which stands in for
  // them.
  absl::flat_hash_map<std::string, std::string> stand_ins_;
  v1::Progress progress_;
  int64_t reported_bytes_ = 0;
  int64_t reported_files_ = 0;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RESTORE_RUN_H_
