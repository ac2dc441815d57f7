// What is mounted where.
#ifndef EMBER_COMMON_FILES_MOUNTS_H_
#define EMBER_COMMON_FILES_MOUNTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::files {

// True when the kernel shows its own state there (proc, sysfs, cgroup, devpts...) instead of
// keeping files.
bool OnPseudoFileSystem(int fd);
// True when something is mounted at `name`: it cannot be renamed.
bool IsMountPoint(int directory, const std::string& name);
// Mount points strictly below `directory` (absolute, without links), sorted in path order, each
// once; absolute.
absl::StatusOr<std::vector<std::string>> MountPointsBelow(absl::string_view directory);
// The mount points in the text of /proc/self/mountinfo, see proc_pid_mountinfo(5).
std::vector<std::string> ParseMountInfo(absl::string_view text);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_MOUNTS_H_
