#include "common/files/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"

namespace ember::files {

absl::StatusOr<std::vector<Name>> ListNames(int directory) {
  constexpr size_t kBufferBytes = 64 << 10;
  const std::unique_ptr<char[]> buffer(new char[kBufferBytes]);
  std::vector<Name> names;
  if (lseek(directory, 0, SEEK_SET) != 0) return ErrnoToStatus(errno, "list");
  while (true) {
    const ssize_t bytes = getdents64(directory, buffer.get(), kBufferBytes);
    if (bytes < 0) return ErrnoToStatus(errno, "list");
    if (bytes == 0) break;
    for (ssize_t at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.get() + at);
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
        names.push_back({entry->d_name, entry->d_type});
      }
      at += entry->d_reclen;
    }
  }
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return a.name < b.name; });
  return names;
}

Fd OpenQuietly(int directory, const std::string& name, int flags) {
  flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  Fd fd(openat(directory, name.c_str(), flags | O_NOATIME));
  // Only the owner may ask for O_NOATIME.
  if (!fd.valid() && errno == EPERM) fd = Fd(openat(directory, name.c_str(), flags));
  return fd;
}

absl::StatusOr<Fd> OpenDirectoryAt(int directory, const std::string& name) {
  Fd fd = OpenQuietly(directory, name, O_DIRECTORY);
  if (!fd.valid()) return ErrnoToStatus(errno == ELOOP ? ENOTDIR : errno, "open");
  return fd;
}

absl::StatusOr<Fd> OpenBelow(int directory, absl::string_view path) {
  EMBER_ASSIGN_OR_RETURN(Fd at, OpenDirectoryAt(directory, "."));
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    EMBER_ASSIGN_OR_RETURN(at, OpenDirectoryAt(at.get(), std::string(part)));
  }
  return at;
}

absl::StatusOr<Fd> OpenDirectory(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME));
  if (!fd.valid() && errno == EPERM)
    fd = Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, "open " + Shown(path).substr(1));
  return fd;
}

DirectoryStack::DirectoryStack(Fd top) { levels_.push_back({std::move(top)}); }

void DirectoryStack::Enter(Fd directory) {
  struct stat info = {};
  fstat(directory.get(), &info);
  levels_.push_back({std::move(directory), info.st_dev, info.st_ino});
  if (levels_.size() - first_open_ > kOpenDirectoriesMax) {
    levels_[first_open_++].fd = Fd();
  }
}

absl::Status DirectoryStack::Enter(const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(Fd directory, OpenDirectoryAt(fd(), name));
  Enter(std::move(directory));
  return absl::OkStatus();
}

absl::Status DirectoryStack::Leave() {
  const Level left = std::move(levels_.back());
  levels_.pop_back();
  Level& now = levels_.back();
  if (now.fd.valid()) return absl::OkStatus();
  first_open_ = std::min(first_open_, levels_.size() - 1);
  if (left.fd.valid()) {
    Fd above = OpenQuietly(left.fd.get(), "..", O_DIRECTORY);
    struct stat info;
    // ".." of a directory moved meanwhile leads anywhere, also out of the tree.
    if (above.valid() && fstat(above.get(), &info) == 0 && info.st_dev == now.device &&
        info.st_ino == now.inode) {
      now.fd = std::move(above);
      return absl::OkStatus();
    }
  }
  return absl::AbortedError("moved while it was read");
}

}  // namespace ember::files
