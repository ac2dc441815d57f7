// What a file system knows of an object besides its content.
#ifndef EMBER_COMMON_FILES_FILE_METADATA_H_
#define EMBER_COMMON_FILES_FILE_METADATA_H_

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/backup/backup_writer.h"
#include "ember/format/v1/format.pb.h"

namespace ember::files {

// An object: open for reading or writing (regular files, directories), else by its name in an open
// directory.
struct Object {
  int fd = -1;
  int directory = -1;
  std::string name;
};

// statx(2) without following a link or mounting anything. False with errno.
bool Stat(const Object& object, struct statx* info);
uint64_t DeviceOf(const struct statx& info);

// Reads attributes. Remembers what is the same for many objects (names of owners, names of file
// systems). Use from one thread.
class MetadataReader {
 public:
  // Fills in everything but path, hardlink and content. Returns what could not be read, "" when
  // nothing; what could is filled in all the same. Inode flags need an open object.
  std::string Read(const Object& object, const struct statx& info, format::v1::Entry* entry);
  // The part of it that needs no more than `info` and the tables of owners.
  void ReadStat(const struct statx& info, format::v1::Entry* entry);
  // `fd` is any object of the same file system.
  backup::SourceStamp Stamp(int fd, const struct statx& info);
  // The same without an open object; nullopt until Stamp has seen one of the file system.
  std::optional<backup::SourceStamp> KnownStamp(const struct statx& info) const;

 private:
  struct FileSystem {
    std::string name;
    bool has_id = false;
  };
  const std::string& UserName(uint32_t uid);
  const std::string& GroupName(uint32_t gid);

  std::unordered_map<uint32_t, std::string> users_;
  std::unordered_map<uint32_t, std::string> groups_;
  std::unordered_map<uint64_t, FileSystem> file_systems_;  // by device
  std::unordered_map<uint64_t, bool> flagless_;            // devices without inode flags
};

// Called with what could not be set: a key that is the same for all failures of one cause, and a
// text.
using AttributeProblem = std::function<void(absl::string_view key, absl::string_view problem)>;

// Gives `object` the owner, extended attributes, mode, inode flags (but those of kFlagsLast) and
// times of `entry`. What this process may not set goes to `problem`; RESOURCE_EXHAUSTED and
// DATA_LOSS (EIO) are errors.
absl::Status ApplyMetadata(const Object& object, const format::v1::Entry& entry,
                           const AttributeProblem& problem);

// The same object by all that is kept of it, content aside? Of directories the times do not count:
// they tell of changes below, which count themselves.
bool SameMetadata(const format::v1::Entry& a, const format::v1::Entry& b);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_FILE_METADATA_H_
