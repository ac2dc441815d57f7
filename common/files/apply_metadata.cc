#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/files/file_metadata.h"
#include "common/files/inode_flags.h"
#include "common/files/xattr.h"

namespace ember::files {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

int Chown(const Object& object, uid_t uid, gid_t gid) {
  return object.fd >= 0
             ? fchown(object.fd, uid, gid)
             : fchownat(object.directory, object.name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW);
}

void ApplyOwner(const Object& object, const Entry& entry, const AttributeProblem& problem) {
  if (Chown(object, entry.uid(), entry.gid()) == 0) return;
  const int error = errno;
  // The group alone can be one of this user's own.
  Chown(object, -1, entry.gid());
  problem("owner", absl::StrCat("its owner ", entry.uid(), ":", entry.gid(),
                                " could not be set: ", strerror(error)));
}

}  // namespace

// The order matters: chown(2) clears setuid bits and capabilities, an ACL changes the mode, and any
// of them the times.
absl::Status ApplyMetadata(const Object& object, const Entry& entry,
                           const AttributeProblem& problem) {
  ApplyOwner(object, entry, problem);
  ApplyXattrs(object, entry, problem);
  if (entry.type() != EntryType::SYMLINK) {
    const mode_t mode = entry.mode() & 07777;
    const int result = object.fd >= 0 ? fchmod(object.fd, mode)
                                      : fchmodat(object.directory, object.name.c_str(), mode, 0);
    if (result != 0) return ErrnoToStatus(errno, "chmod");
  }
  if (object.fd >= 0 &&
      !SetFlags(object.fd, entry.inode_flags(), kFlagsKept & ~kFlagsLast & ~kFlagsWhenEmpty)) {
    problem("flags", absl::StrCat("its inode flags could not be set: ", strerror(errno)));
  }
  const timespec times[2] = {
      {.tv_sec = entry.atime_seconds(), .tv_nsec = static_cast<long>(entry.atime_nanos())},
      {.tv_sec = entry.mtime_seconds(), .tv_nsec = static_cast<long>(entry.mtime_nanos())}};
  const int result =
      object.fd >= 0 ? futimens(object.fd, times)
                     : utimensat(object.directory, object.name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  if (result != 0) return ErrnoToStatus(errno, "set times");
  return absl::OkStatus();
}

}  // namespace ember::files
