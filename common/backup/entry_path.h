// Paths of entries: any bytes but NUL, absolute, without the leading slash. "" is the root of the
// file system.
#ifndef EMBER_COMMON_BACKUP_ENTRY_PATH_H_
#define EMBER_COMMON_BACKUP_ENTRY_PATH_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ember::backup {

// INVALID_ARGUMENT unless `path` stays where it belongs: no empty, "." or ".." component, no NUL,
// at most kPathBytesMax. Whoever restores joins it to a directory.
absl::Status ValidateEntryPath(absl::string_view path);

// Is `path` `ancestor` itself or below it?
bool IsWithin(absl::string_view path, absl::string_view ancestor);

// As a person may read it: with the slash, unprintable bytes escaped.
std::string ShownPath(absl::string_view path);

// What is wanted of a tree: some subtrees, or all of it.
class PathFilter {
 public:
  explicit PathFilter(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  bool all() const { return paths_.empty(); }
  bool Wants(absl::string_view path) const;
  // Can something wanted lie between `first` and `last`, both included? `last` null: no upper end.
  bool MayWantBetween(absl::string_view first, const std::string* last) const;

 private:
  std::vector<std::string> paths_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_ENTRY_PATH_H_
