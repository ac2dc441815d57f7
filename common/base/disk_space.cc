#include "common/base/disk_space.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>

#include "common/base/errors.h"

namespace ember {
namespace {

int64_t FreeBytes(const struct statvfs& info) {
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

}  // namespace

absl::Status RequireFreeBytes(const std::string& directory, int64_t bytes_min,
                              const std::string& what) {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) return absl::OkStatus();
  return FreeBytes(info) >= bytes_min ? absl::OkStatus() : DiskFull(what);
}

int64_t FreeBytesAt(const std::string& path) {
  struct statvfs info;
  for (std::filesystem::path at(path);; at = at.parent_path()) {
    if (statvfs(at.c_str(), &info) == 0) return FreeBytes(info);
    if (errno != ENOENT || !at.has_relative_path()) return 0;
  }
}

}  // namespace ember
