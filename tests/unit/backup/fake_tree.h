// A tree of files that exists only in a test, and its way through the writer and the reader.
#ifndef EMBER_TESTS_UNIT_BACKUP_FAKE_TREE_H_
#define EMBER_TESTS_UNIT_BACKUP_FAKE_TREE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/backup/backup_writer.h"
#include "common/backup/restore_reader.h"
#include "common/crypto/keybox.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

struct PathOrder {
  bool operator()(const std::string& a, const std::string& b) const {
    return backup::PathLess(a, b);
  }
};

// `bytes` reproducible bytes, not compressible.
std::string Noise(uint64_t seed, size_t bytes);

struct FakeFile {
  format::v1::Entry entry;
  std::map<int64_t, std::string> data;  // by offset; gaps are holes
  int64_t version = 1;                  // in its stamp
  std::string file_system = "fs-1";
  bool covers_metadata = true;
  int64_t mtime_seconds = 1700000000;
  absl::Status open_error;
  absl::Status read_error;
  int unsettled = 0;  // so many reads see a change
  size_t piece_max = 300000;
  int opened = 0;
  int described = 0;  // how often the writer did not take it as it was
  int read = 0;
  std::function<void()> on_read;
};

class FakeTree {
 public:
  FakeFile& Add(const std::string& path, const std::string& content);
  FakeFile& AddSparse(const std::string& path, int64_t size, std::map<int64_t, std::string> data);
  void AddDirectory(const std::string& path);
  void AddLink(const std::string& path, const std::string& first);
  void Change(const std::string& path, const std::string& content);
  FakeFile& at(const std::string& path) { return files_.at(path); }
  void Remove(const std::string& path) { files_.erase(path); }
  absl::Status Walk(backup::BackupWriter* writer);
  int opened() const;  // files, since ForgetOpened
  int described() const;
  void ForgetOpened();
  int64_t bytes() const;
  std::map<std::string, FakeFile, PathOrder>& files() { return files_; }

 private:
  std::map<std::string, FakeFile, PathOrder> files_;
  int64_t versions_ = 1;
};

// What a restore delivered.
struct Restored {
  format::v1::Entry entry;
  std::map<int64_t, std::string> data;  // adjacent pieces joined
  absl::Status content;
  bool ended = false;
};
class FakeTarget : public backup::RestoreTarget {
 public:
  absl::StatusOr<bool> Begin(const format::v1::Entry& entry) override;
  absl::Status Write(int64_t offset, absl::string_view bytes) override;
  absl::Status End(const format::v1::Entry& entry, const absl::Status& content) override;

  std::map<std::string, Restored, PathOrder> files;
  std::function<bool(const std::string& path)> takes;  // empty: all
  std::string order_error;
  absl::Status write_error;

 private:
  std::string current_;
  bool open_ = false;
};

// A domain with its keys, a clock, a cache.
class BackupBench {
 public:
  BackupBench();
  backup::BackupOptions Options(const std::string& backup_id);
  backup::KeySource Keys() const;
  absl::StatusOr<v1::BackupResult> Backup(FakeTree& tree, backup::VaultPort* vault,
                                          backup::BackupOptions options);
  absl::StatusOr<v1::BackupResult> Backup(FakeTree& tree, backup::VaultPort* vault,
                                          const std::string& backup_id) {
    return Backup(tree, vault, Options(backup_id));
  }
  absl::StatusOr<std::unique_ptr<backup::RestoreReader>> Open(backup::VaultPort* vault,
                                                              const std::string& backup_id) {
    return backup::RestoreReader::Open(vault, backup_id, Keys());
  }
  FakeClock clock;
  TempDir directory;
  v1::DomainKeys domain;

 private:
  X25519KeyPair pair_;
};

// Empty when `restored` is the tree; else the first difference.
std::string Difference(FakeTree& tree, const FakeTarget& restored);

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_BACKUP_FAKE_TREE_H_
