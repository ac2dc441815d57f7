#include "common/files/inode_flags.h"

#include <sys/ioctl.h>

namespace ember::files {

// The kernel reads and writes an int here, whatever the ioctl's number says.
std::optional<uint32_t> GetFlags(int fd) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return std::nullopt;
  return static_cast<uint32_t>(flags);
}

bool SetFlags(int fd, uint32_t flags, uint32_t mask) {
  const std::optional<uint32_t> now = GetFlags(fd);
  if (!now.has_value()) return (flags & mask) == 0;
  int wanted = static_cast<int>((*now & ~mask) | (flags & mask));
  if (wanted == static_cast<int>(*now)) return true;
  return ioctl(fd, FS_IOC_SETFLAGS, &wanted) == 0;
}

}  // namespace ember::files
