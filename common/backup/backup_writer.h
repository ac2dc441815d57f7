// Writes one backup: entries in, records out, a commit at the end.
#ifndef EMBER_COMMON_BACKUP_BACKUP_WRITER_H_
#define EMBER_COMMON_BACKUP_BACKUP_WRITER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/backup/vault_port.h"
#include "common/base/clock.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/agent.pb.h"

namespace ember::backup {

// Orders paths as a depth-first walk with sorted names does: component by component, bytewise.
bool PathLess(absl::string_view a, absl::string_view b);

// What tells, without reading, that an object is the one backed up before.
struct SourceStamp {
  std::string file_system;  // UUID or another name that survives a remount; empty: nothing is told
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t mtime_seconds = 0;
  uint32_t mtime_nanos = 0;
  int64_t ctime_seconds = 0;
  uint32_t ctime_nanos = 0;
  // Does an equal stamp tell that extended attributes and inode flags are the same, too? Not where
  // nobody knows what changes a ctime, nor when not all of them could be read.
  bool covers_metadata = false;
};

// The bytes of one regular file, in order. Used by one thread.
class FileContent {
 public:
  virtual ~FileContent() = default;
  struct Piece {
    int64_t offset = 0;  // in the file; a gap since the last piece's end is a hole
    size_t size = 0;     // 0: end of file
  };
  // Reads the next piece into `buffer`.
  virtual absl::StatusOr<Piece> Next(absl::Span<char> buffer) = 0;
  // After the end: did the file stay the same while it was read? When not, `entry` is brought up to
  // date and the content rewound, so that it can be read again.
  virtual absl::StatusOr<bool> Settled(format::v1::Entry* entry, SourceStamp* stamp) = 0;
};

struct BackupOptions {
  std::string backup_id;
  std::string workload;
  std::string node;
  uint64_t epoch = 0;
  std::string reason;
  v1::DomainKeys domain;
  v1::Signed grant;                // of the controller, for this backup
  std::vector<std::string> roots;  // as Entry.path
  std::string cache_path;          // what was read last time for this (workload, vault); read, then
                                   // replaced after the commit
  bool full = false;               // ignore the cache
  Clock* clock = nullptr;
  int threads = 2;  // hashing, compressing, sealing
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const v1::Progress&)>
      progress;  // from any thread, at most a few times a second
  std::function<absl::Duration(int64_t bytes)>
      pace;  // how long to wait before so many are sent; may be empty
};

// One use: Open, Add… in PathLess order, Commit. Add and Commit from one thread. Not committing
// leaves nothing visible. Memory stays bounded, whatever the size of the source: what is in flight
// by kInFlightBytes, ids by kKnownIdsMax and kIdsInMemory.
class BackupWriter {
 public:
  virtual ~BackupWriter() = default;
  // `vault` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<BackupWriter>> Open(BackupOptions options,
                                                            VaultPort* vault);

  // Adds an object that is the one backed up before, as it was then: extended attributes, inode
  // flags, the target of a link and content are taken from the cache, nothing is opened. `seen` is
  // what a statx(2) of its name and the tables of owners tell: path, type, mode, owner and names,
  // size, hole_bytes, device and times; all of it must be as it was, the stamp equal, not racy and
  // covering the metadata. Not for an inode of several names. False: nothing was added, and Add is
  // next.
  virtual absl::StatusOr<bool> AddUnchanged(const format::v1::Entry& seen,
                                            const SourceStamp& stamp) = 0;
  // Adds an object. A FILE without `hardlink_to` has content: it is taken from the cache when the
  // stamp matches (and is not racy), else `open` is called and read. An error of `open` or of
  // reading becomes a problem and the entry is left out; a file that never settles is kept as last
  // read and listed. Errors returned here end the backup.
  virtual absl::Status Add(
      format::v1::Entry entry, const SourceStamp& stamp,
      const std::function<absl::StatusOr<std::unique_ptr<FileContent>>()>& open) = 0;
  // Something under the roots that could not be read.
  virtual void AddProblem(absl::string_view path, absl::string_view problem) = 0;
  // Publishes and then reads back every record this backup added, opening each with the session key
  // before that key is forgotten. outcome is PARTIAL when there are problems. The cache is
  // replaced. A failed read-back is in the result, not an error.
  virtual absl::StatusOr<v1::BackupResult> Commit() = 0;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_BACKUP_WRITER_H_
