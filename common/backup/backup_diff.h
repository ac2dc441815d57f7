// What changed between two backups, as a person would say it.
#ifndef EMBER_COMMON_BACKUP_BACKUP_DIFF_H_
#define EMBER_COMMON_BACKUP_BACKUP_DIFF_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/backup/restore_reader.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

struct FileChange {
  enum class Kind {
    kAdded,
    kRemoved,
    kChanged,     // its content, its type, or what it points to
    kAttributes,  // only owner, mode, times, extended attributes
  };
  Kind kind = Kind::kChanged;
  // Without content; null: it was not there.
  const format::v1::Entry* before = nullptr;
  const format::v1::Entry* after = nullptr;
};

struct DiffOptions {
  std::string path;   // as Entry.path: only this and what is below; empty: everything
  std::string after;  // begin behind this path; empty: at the start
};

// Sends what differs to `sink`, in path order, each path once. Both are of one domain. Small files
// share records with their neighbours, so those whose time and size tell nothing are read and
// compared. Errors: DATA_LOSS when a record that is needed is damaged, those of the vault, and
// those of `sink`, which end it.
absl::Status DiffBackups(RestoreReader* before, RestoreReader* after, const DiffOptions& options,
                         const std::function<absl::Status(const FileChange&)>& sink);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_BACKUP_DIFF_H_
