#include "common/files/file_metadata.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/inode_flags.h"
#include "common/files/xattr.h"

namespace ember::files {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

EntryType::Value TypeOf(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return EntryType::FILE;
    case S_IFDIR: return EntryType::DIRECTORY;
    case S_IFLNK: return EntryType::SYMLINK;
    case S_IFIFO: return EntryType::FIFO;
    case S_IFSOCK: return EntryType::SOCKET;
    case S_IFCHR: return EntryType::CHARACTER;
    case S_IFBLK: return EntryType::BLOCK;
    default: return EntryType::UNKNOWN;
  }
}

// Names are for people; the proto field is text, so a name in an old encoding is left out.
std::string PlainName(const char* name) {
  const bool plain =
      std::all_of(name, name + strlen(name), [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
  return plain ? name : "";
}

std::string ReadLink(const Object& object, std::string* target) {
  target->resize(4096);  // PATH_MAX: a target cannot be longer
  const ssize_t length =
      readlinkat(object.directory, object.name.c_str(), target->data(), target->size());
  if (length < 0) return absl::StrCat("its target cannot be read: ", strerror(errno));
  target->resize(length);
  return "";
}

void FillNumbers(const struct statx& info, Entry* entry) {
  entry->set_type(TypeOf(info.stx_mode));
  entry->set_mode(info.stx_mode & 07777);
  entry->set_uid(info.stx_uid);
  entry->set_gid(info.stx_gid);
  entry->set_size(S_ISREG(info.stx_mode) ? static_cast<int64_t>(info.stx_size) : 0);
  const int64_t allocated = static_cast<int64_t>(info.stx_blocks) * 512;
  entry->set_hole_bytes(std::max<int64_t>(0, entry->size() - allocated));
  entry->set_mtime_seconds(info.stx_mtime.tv_sec);
  entry->set_mtime_nanos(info.stx_mtime.tv_nsec);
  entry->set_ctime_seconds(info.stx_ctime.tv_sec);
  entry->set_ctime_nanos(info.stx_ctime.tv_nsec);
  entry->set_atime_seconds(info.stx_atime.tv_sec);
  entry->set_atime_nanos(info.stx_atime.tv_nsec);
  if (S_ISCHR(info.stx_mode) || S_ISBLK(info.stx_mode)) {
    entry->set_device(makedev(info.stx_rdev_major, info.stx_rdev_minor));
  } else {
    entry->clear_device();
  }
}

}  // namespace

bool Stat(const Object& object, struct statx* info) {
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (object.fd >= 0)
    return statx(object.fd, "", kFlags | AT_EMPTY_PATH, STATX_BASIC_STATS, info) == 0;
  return statx(object.directory, object.name.c_str(), kFlags, STATX_BASIC_STATS, info) == 0;
}

uint64_t DeviceOf(const struct statx& info) {
  return makedev(info.stx_dev_major, info.stx_dev_minor);
}

void MetadataReader::ReadStat(const struct statx& info, Entry* entry) {
  FillNumbers(info, entry);
  entry->set_user(UserName(info.stx_uid));
  entry->set_group(GroupName(info.stx_gid));
}

std::string MetadataReader::Read(const Object& object, const struct statx& info, Entry* entry) {
  ReadStat(info, entry);
  std::string problem;
  if (S_ISLNK(info.stx_mode)) problem = ReadLink(object, entry->mutable_symlink());
  entry->clear_inode_flags();
  const uint64_t device = DeviceOf(info);
  if (object.fd >= 0 && !flagless_.contains(device)) {
    const std::optional<uint32_t> flags = GetFlags(object.fd);
    if (flags.has_value()) {
      entry->set_inode_flags(*flags & kFlagsKept);
    } else {
      flagless_[device] = true;
    }
  }
  entry->clear_xattrs();
  const std::string xattr_problem = ReadXattrs(object, entry);
  return problem.empty() ? xattr_problem : problem;
}

// f_fsid with the type: ext4, btrfs, zfs and tmpfs derive it from the file system's own UUID
// (btrfs: and the subvolume), so it survives a remount; the device number does not, where it is
// anonymous. xfs and vfat make it from the device number: when that changes, everything is read
// once more, nothing wrong is believed. File systems without one (FUSE, NFS say 0) fall back to the
// device number of this boot, and are not believed to give an inode another ctime whenever its
// attributes change.
backup::SourceStamp MetadataReader::Stamp(int fd, const struct statx& info) {
  FileSystem& known = file_systems_[DeviceOf(info)];
  if (known.name.empty()) {
    struct statfs system = {};
    fstatfs(fd, &system);
    const uint32_t high = system.f_fsid.__val[0], low = system.f_fsid.__val[1];
    const auto type = absl::Hex(static_cast<uint32_t>(system.f_type));
    known.has_id = high != 0 || low != 0;
    known.name = known.has_id ? absl::StrCat(type, "-", absl::Hex(high, absl::kZeroPad8),
                                             absl::Hex(low, absl::kZeroPad8))
                              : absl::StrCat(type, "-device-", absl::Hex(DeviceOf(info)));
  }
  return *KnownStamp(info);
}

std::optional<backup::SourceStamp> MetadataReader::KnownStamp(const struct statx& info) const {
  const auto known = file_systems_.find(DeviceOf(info));
  if (known == file_systems_.end()) return std::nullopt;
  return backup::SourceStamp{.file_system = known->second.name,
                             .inode = info.stx_ino,
                             .size = static_cast<int64_t>(info.stx_size),
                             .mtime_seconds = info.stx_mtime.tv_sec,
                             .mtime_nanos = info.stx_mtime.tv_nsec,
                             .ctime_seconds = info.stx_ctime.tv_sec,
                             .ctime_nanos = info.stx_ctime.tv_nsec,
                             .covers_metadata = known->second.has_id};
}

const std::string& MetadataReader::UserName(uint32_t uid) {
  if (users_.size() >= kOwnerNamesMax) users_.clear();
  const auto [found, is_new] = users_.try_emplace(uid);
  if (is_new) {
    std::vector<char> buffer(16 << 10);
    passwd entry, *result = nullptr;
    getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &result);
    if (result != nullptr) found->second = PlainName(result->pw_name);
  }
  return found->second;
}

const std::string& MetadataReader::GroupName(uint32_t gid) {
  if (groups_.size() >= kOwnerNamesMax) groups_.clear();
  const auto [found, is_new] = groups_.try_emplace(gid);
  if (is_new) {
    std::vector<char> buffer(64 << 10);  // holds the members, too
    group entry, *result = nullptr;
    getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &result);
    if (result != nullptr) found->second = PlainName(result->gr_name);
  }
  return found->second;
}

bool SameMetadata(const Entry& a, const Entry& b) {
  if (a.type() != b.type() || a.uid() != b.uid() || a.gid() != b.gid() ||
      a.device() != b.device() || a.symlink() != b.symlink() ||
      a.xattrs_size() != b.xattrs_size()) {
    return false;
  }
  // The mode of a link means nothing and cannot be set.
  if (a.type() != EntryType::SYMLINK && a.mode() != b.mode()) return false;
  if (a.type() == EntryType::FILE && a.size() != b.size()) return false;
  if (a.type() != EntryType::DIRECTORY &&
      (a.mtime_seconds() != b.mtime_seconds() || a.mtime_nanos() != b.mtime_nanos())) {
    return false;
  }
  for (int i = 0; i < a.xattrs_size(); ++i) {  // both sorted by name
    if (a.xattrs(i).name() != b.xattrs(i).name() || a.xattrs(i).value() != b.xattrs(i).value())
      return false;
  }
  return true;
}

}  // namespace ember::files
