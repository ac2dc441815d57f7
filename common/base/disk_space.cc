#include "common/base/disk_space.h"

#include <sys/statvfs.h>

#include "common/base/errors.h"

namespace ember {

absl::Status RequireFreeBytes(const std::string& directory, int64_t bytes_min,
                              const std::string& what) {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) return absl::OkStatus();
  const int64_t free_bytes =
      static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  return free_bytes >= bytes_min ? absl::OkStatus() : DiskFull(what);
}

}  // namespace ember
