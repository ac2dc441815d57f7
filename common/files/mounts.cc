#include "common/files/mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>

#include "absl/strings/str_split.h"
#include "common/backup/backup_writer.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"

namespace ember::files {
namespace {

// Not in <linux/magic.h>.
constexpr uint32_t kMqueueMagic = 0x19800202;
constexpr uint32_t kConfigfsMagic = 0x62656570;
constexpr uint32_t kFusectlMagic = 0x65735543;
constexpr uint32_t kRpcPipefsMagic = 0x67596969;

// Space, tab, newline and backslash come as \ooo.
std::string Unescape(absl::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                        (text[i + 3] - '0')));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

}  // namespace

bool OnPseudoFileSystem(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) != 0) return false;
  switch (static_cast<uint32_t>(info.f_type)) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case SELINUX_MAGIC:
    case SMACK_MAGIC:
    case PSTOREFS_MAGIC:
    case EFIVARFS_MAGIC:
    case BPF_FS_MAGIC:
    case BINFMTFS_MAGIC:
    case NSFS_MAGIC:
    case AUTOFS_SUPER_MAGIC:
    case kMqueueMagic:
    case kConfigfsMagic:
    case kFusectlMagic:
    case kRpcPipefsMagic: return true;
    default: return false;
  }
}

bool IsMountPoint(int directory, const std::string& name) {
  struct statx info;
  if (statx(directory, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) != 0)
    return false;
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

std::vector<std::string> ParseMountInfo(absl::string_view text) {
  std::vector<std::string> points;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 5));
    if (fields.size() == 6) points.push_back(Unescape(fields[4]));
  }
  return points;
}

absl::StatusOr<std::vector<std::string>> MountPointsBelow(absl::string_view directory) {
  EMBER_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/self/mountinfo"));
  std::vector<std::string> below;
  for (std::string& point : ParseMountInfo(text)) {
    if (point != directory && IsAtOrBelow(point.substr(1), directory.substr(1)))
      below.push_back(std::move(point));
  }
  std::sort(below.begin(), below.end(), backup::PathLess);
  below.erase(std::unique(below.begin(), below.end()), below.end());
  return below;
}

}  // namespace ember::files
