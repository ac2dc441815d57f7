#include "common/files/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/inode_flags.h"
#include "common/files/mounts.h"

namespace ember::files {
namespace {

absl::Status Failed(const std::string& name) {
  return ErrnoToStatus(errno, "remove " + Shown(name).substr(1));
}

// Opens a directory such that names can be removed from it.
absl::StatusOr<Fd> OpenToEmpty(int directory, const std::string& name) {
  if (IsMountPoint(directory, name)) {
    return absl::FailedPreconditionError("remove " + Shown(name).substr(1) +
                                         ": something is mounted there");
  }
  absl::StatusOr<Fd> fd = OpenDirectoryAt(directory, name);
  if (!fd.ok() && absl::IsPermissionDenied(fd.status())) {
    fchmodat(directory, name.c_str(), 0700, 0);
    fd = OpenDirectoryAt(directory, name);
  }
  if (!fd.ok()) return Annotate(fd.status(), "remove " + Shown(name).substr(1));
  SetFlags(fd->get(), 0, kFlagsLast);
  if (geteuid() != 0) fchmod(fd->get(), 0700);
  return fd;
}

absl::Status RemoveFileAt(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno == EPERM) {  // perhaps immutable; only regular files (and directories) can be, so
                         // opening is harmless
    struct stat info;
    if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(info.st_mode)) {
      const Fd fd = OpenQuietly(directory, name, 0);
      if (fd.valid()) SetFlags(fd.get(), 0, kFlagsLast);
    }
    if (unlinkat(directory, name.c_str(), 0) == 0) return absl::OkStatus();
  }
  return Failed(name);
}

bool IsDirectory(int directory, const Name& name) {
  if (name.type != DT_UNKNOWN) return name.type == DT_DIR;
  struct stat info;
  return fstatat(directory, name.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(info.st_mode);
}

struct Frame {
  std::string name;
  std::vector<Name> names;
};

}  // namespace

absl::Status RemoveTree(int directory, const std::string& name) {
  if (!IsDirectory(directory, {name, DT_UNKNOWN})) return RemoveFileAt(directory, name);
  EMBER_ASSIGN_OR_RETURN(Fd top, OpenBelow(directory, ""));
  DirectoryStack stack(std::move(top));
  std::vector<Frame> frames;
  const auto enter = [&](const std::string& child) -> absl::Status {
    EMBER_ASSIGN_OR_RETURN(Fd fd, OpenToEmpty(stack.fd(), child));
    EMBER_ASSIGN_OR_RETURN(std::vector<Name> names, ListNames(fd.get()));
    stack.Enter(std::move(fd));
    frames.push_back({child, std::move(names)});
    return absl::OkStatus();
  };
  EMBER_RETURN_IF_ERROR(enter(name));
  while (!frames.empty()) {
    Frame& frame = frames.back();
    if (frame.names.empty()) {
      EMBER_RETURN_IF_ERROR(stack.Leave());
      if (unlinkat(stack.fd(), frame.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        return Failed(frame.name);
      frames.pop_back();
      continue;
    }
    const Name child = std::move(frame.names.back());
    frame.names.pop_back();
    if (IsDirectory(stack.fd(), child)) {
      EMBER_RETURN_IF_ERROR(enter(child.name));
    } else {
      EMBER_RETURN_IF_ERROR(RemoveFileAt(stack.fd(), child.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace ember::files
