// A tree of files becomes the entries of a backup.
#ifndef EMBER_NODE_AGENT_SOURCE_FILE_WALK_H_
#define EMBER_NODE_AGENT_SOURCE_FILE_WALK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/backup/backup_writer.h"

namespace ember::agent {

// A path that is backed up with everything below.
struct FileRoot {
  std::string path;  // as Entry.path
  std::vector<std::string>
      exclude;  // globs for the path below the root, and for the last component
  bool one_file_system = false;
};

// True when a glob of `root` matches `path`, or it is something a restore left. The root itself
// never is.
bool IsExcluded(const FileRoot& root, absl::string_view path);

// Adds everything at and below `roots` (sorted, unique) in path order, each object once; a root
// below another has its own excludes and its own file system. Symbolic links are followed on the
// way to a root, never below one. What cannot be read becomes a problem; errors are those of the
// writer.
absl::Status WalkFiles(const std::vector<FileRoot>& roots, backup::BackupWriter* writer);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_FILE_WALK_H_
