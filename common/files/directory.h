// Directories by descriptor: names are resolved one component at a time relative to an open
// directory, so that a path may be of any length and no symbolic link is ever followed.
#ifndef EMBER_COMMON_FILES_DIRECTORY_H_
#define EMBER_COMMON_FILES_DIRECTORY_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"

namespace ember::files {

struct Name {
  std::string name;
  unsigned char type = 0;  // DT_*, DT_UNKNOWN when the file system does not tell
};

// All names but "." and "..", sorted bytewise.
absl::StatusOr<std::vector<Name>> ListNames(int directory);

// Opens for reading without following a link, without changing the access time where that is
// permitted, and without waiting. `flags` are added (O_DIRECTORY). An invalid Fd leaves errno.
Fd OpenQuietly(int directory, const std::string& name, int flags);
// The directory `name`. NOT_FOUND also when it is something else.
absl::StatusOr<Fd> OpenDirectoryAt(int directory, const std::string& name);
// The directory at `path` (components, no leading slash; "": a second handle on `directory`).
absl::StatusOr<Fd> OpenBelow(int directory, absl::string_view path);
// Follows links, as for a path that an owner wrote.
absl::StatusOr<Fd> OpenDirectory(const std::string& path);

// The way from one directory down to another. Holds at most kOpenDirectoriesMax descriptors.
class DirectoryStack {
 public:
  explicit DirectoryStack(Fd top);
  // The current directory.
  int fd() const { return levels_.back().fd.get(); }
  // Directories entered and not left.
  size_t depth() const { return levels_.size() - 1; }
  void Enter(Fd directory);
  absl::Status Enter(const std::string& name);
  // Back to the directory above. ABORTED when it is no longer above (somebody moved the one left):
  // then the current directory is not usable and can only be left, too.
  absl::Status Leave();

 private:
  struct Level {
    Fd fd;
    dev_t device = 0;
    ino_t inode = 0;
  };
  std::vector<Level> levels_;
  size_t first_open_ = 1;  // levels 1 up to here are closed; level 0 stays open
};

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_DIRECTORY_H_
