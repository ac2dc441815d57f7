// Sees, and may refuse, every system call by which this process changes or reads files below one
// directory: the C library's functions are defined again in the test's executable, so that product
// code and RocksDB run as they are, without a hook.
#ifndef EMBER_TESTS_CRASH_FILE_CALLS_H_
#define EMBER_TESTS_CRASH_FILE_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace ember::testing {

// One change, or one barrier. Paths are relative to the directory that is watched.
struct FileOp {
  enum Kind {
    kCreate,
    kWrite,
    kResize,
    kSyncFile,
    kSyncDirectory,
    kRename,
    kLink,
    kUnlink,
    kMakeDirectory,
    kRemoveDirectory,
  };
  Kind kind = kCreate;
  int file = 0;         // which file, whatever its name is now: all kinds but those on directories
  std::string path;     // its name when the call was made
  std::string to;       // kRename, kLink
  uint64_t offset = 0;  // kWrite; kResize: the new size
  std::string data;     // kWrite
  bool failed = false;  // kSyncFile: refused, so what was not yet synced is gone for good
};

std::string ToString(const FileOp& op);

// Called with a lock held that orders all calls: implementations must not change watched files.
class FileObserver {
 public:
  virtual ~FileObserver() = default;
  // An errno refuses the call, 0 lets it happen. `*size` of a write may be lowered: a short write.
  virtual int Before(const FileOp& op, size_t* size) = 0;
  // It happened (or is a refused sync).
  virtual void After(const FileOp& op) = 0;
  // A file is read at `path`: an errno refuses that.
  virtual int BeforeRead(const std::string& path) = 0;
};

// Watches `root` from now on; files that exist already are numbered in the order of their names,
// from 1. Null ends it. Files that RocksDB logs to are not watched.
void WatchFiles(const std::string& root, FileObserver* observer);

// While false, barriers cost nothing: for checks that need no durability.
void SetRealSync(bool real);

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_FILE_CALLS_H_
