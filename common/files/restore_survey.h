// A backup's list of files held against what is on disk, before anything is written.
#ifndef EMBER_COMMON_FILES_RESTORE_SURVEY_H_
#define EMBER_COMMON_FILES_RESTORE_SURVEY_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/files/directory.h"
#include "common/files/file_metadata.h"
#include "common/files/restore_place.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/types.pb.h"

namespace ember::files {

// Give it every wanted entry in path order. Touches nothing; reads no content. Use from one thread.
class RestoreSurvey {
 public:
  // `places` must outlive the survey.
  RestoreSurvey(const std::vector<Place>& places, std::vector<NestedMount> mounts);
  absl::Status Add(const format::v1::Entry& entry);
  // Counts what is there and not in the backup, and settles `mounts`.
  absl::Status Finish();

  int64_t files = 0;
  int64_t bytes = 0;  // of content, without holes
  int64_t entries = 0;
  int64_t added = 0;
  int64_t removed = 0;
  int64_t changed = 0;
  // Some of them by name, as RestoreResult.changes. What is removed has names as long as the backup
  // is not huge.
  std::vector<v1::PathProblem> changes;
  std::set<std::string> found;                 // of the places' paths: those the backup has
  std::map<std::string, int64_t> place_bytes;  // by path of place or mount
  const std::vector<NestedMount>& mounts() const { return mounts_; }

 private:
  // The directory of one place that is being compared.
  struct Disk {
    std::unique_ptr<DirectoryStack> stack;
    std::vector<std::string> open;  // Entry.path of each directory entered
    int64_t matched = 0;
  };
  void Compare(const format::v1::Entry& entry, const Place& place, Disk* disk);
  absl::StatusOr<int64_t> Count(const Place& place);
  void Note(int64_t number, absl::string_view path, const char* what);

  const std::vector<Place>& places_;
  const PlaceFinder finder_;
  std::vector<NestedMount> mounts_;
  const PlaceFinder regions_;
  std::vector<std::string> region_paths_;
  size_t next_mount_ = 0;
  std::vector<Disk> disks_;
  MetadataReader metadata_;
  absl::flat_hash_set<size_t> matched_;  // hashes of the paths that are in both
  int64_t removed_named_ = 0;
};

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_RESTORE_SURVEY_H_
