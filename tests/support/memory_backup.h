// A backup in memory, without chunks or keys: what a source wrote, and what a restore would be
// given.
#ifndef EMBER_TESTS_SUPPORT_MEMORY_BACKUP_H_
#define EMBER_TESTS_SUPPORT_MEMORY_BACKUP_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/backup/backup_writer.h"
#include "common/backup/restore_reader.h"

namespace ember::testing {

struct MemoryEntry {
  format::v1::Entry entry;
  std::vector<std::pair<int64_t, std::string>> content;  // offset and bytes; gaps are holes
};

struct MemoryBackup {
  std::vector<std::string> roots;
  std::vector<MemoryEntry> entries;
  std::vector<std::pair<std::string, std::string>> problems;  // path, problem

  const MemoryEntry* Find(const std::string& path) const;
  std::vector<std::string> Paths() const;
};

// Writes into `backup`, which must outlive it. `before_end` is called with each path when its
// content has been read, before it is asked whether it settled.
std::unique_ptr<backup::BackupWriter> WriteTo(
    MemoryBackup* backup, std::function<void(const std::string&)> before_end = {});
// Restores `backup`, which must outlive it. `before_entry` may end the restore with an error at a
// path.
std::unique_ptr<backup::RestoreReader> ReadFrom(
    const MemoryBackup* backup, std::function<absl::Status(const std::string&)> before_entry = {});

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_MEMORY_BACKUP_H_
