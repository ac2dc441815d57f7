// Inode flags (chattr(1)), see ioctl_iflags(2).
#ifndef EMBER_COMMON_FILES_INODE_FLAGS_H_
#define EMBER_COMMON_FILES_INODE_FLAGS_H_

#include <linux/fs.h>

#include <cstdint>
#include <optional>

namespace ember::files {

// Decide how content is laid out: have an effect only while an object is empty.
inline constexpr uint32_t kFlagsWhenEmpty =
    FS_COMPR_FL | FS_NOCOMP_FL | FS_NOCOW_FL | 0x40000000;  // FS_CASEFOLD_FL
// Forbid change, so they come last.
inline constexpr uint32_t kFlagsLast = FS_IMMUTABLE_FL | FS_APPEND_FL;
// All that belong to the object and not to the file system's bookkeeping.
inline constexpr uint32_t kFlagsKept = kFlagsWhenEmpty | kFlagsLast | FS_SYNC_FL | FS_DIRSYNC_FL |
                                       FS_NODUMP_FL | FS_NOATIME_FL | FS_JOURNAL_DATA_FL |
                                       FS_NOTAIL_FL | FS_TOPDIR_FL | FS_SECRM_FL | FS_UNRM_FL;

// All flags of a regular file or directory; none when its file system has no such thing.
std::optional<uint32_t> GetFlags(int fd);
// Makes the flags within `mask` those of `flags`. False with errno when it cannot.
bool SetFlags(int fd, uint32_t flags, uint32_t mask);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_INODE_FLAGS_H_
