// What a POSIX file system holds, and what it may hold after a power cut: data is durable after a
// sync of its file, names after a sync of their directory, and whatever is not may be there or not,
// in any order (Pillai et al., ALICE, OSDI'14; Mohan et al., B3, OSDI'18).
#ifndef EMBER_TESTS_CRASH_DISK_MODEL_H_
#define EMBER_TESTS_CRASH_DISK_MODEL_H_

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/crash/file_calls.h"

namespace ember::testing {

// Files and directories by path below a root.
struct DiskImage {
  std::map<std::string, std::string> files;
  std::vector<std::string> directories;  // parents first
  std::string Digest() const;
  // Makes `root` (which must not exist) hold exactly this.
  absl::Status WriteTo(const std::string& root) const;
};

// Use from one thread.
class DiskModel {
 public:
  // All of `root` as it is, durable. Files are numbered as WatchFiles numbers them.
  static DiskModel Of(const std::string& root);

  void Apply(const FileOp& op);

  // As a process that is killed leaves it.
  DiskImage Everything() const;
  // As a power cut leaves it when nothing but what was synced has reached the disk.
  DiskImage DurableOnly() const;
  // Everything, except that half of `last`, a write just applied, is missing.
  DiskImage Torn(const FileOp& last) const;
  // Some of the names and some of the data that are not durable yet.
  DiskImage Sample(std::mt19937& random) const;
  // Is there anything that a power cut might take away?
  bool HasVolatile() const;

 private:
  struct Change {  // of a file's content
    bool is_resize = false;
    uint64_t offset = 0;  // or the new size
    std::string data;
    void ApplyTo(std::string& content) const;
  };
  struct File {
    std::string durable;
    std::string cached;
    std::vector<Change> pending;
  };
  // Paths to file numbers; kDirectory: a directory.
  using Names = std::map<std::string, int>;
  static constexpr int kDirectory = -1;

  static void ApplyName(const FileOp& op, Names& names);
  static std::string SampleContent(const File& file, std::mt19937& random);
  // `content(number, file)` of every file that has a name whose parents exist.
  template <typename Content>
  DiskImage Image(const Names& names, const Content& content) const;

  std::map<int, File> files_;
  Names cached_;
  Names durable_;
  std::vector<FileOp> pending_;  // operations on names, without data
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_DISK_MODEL_H_
