// A source over a directory of its own, backed up into memory.
#ifndef EMBER_TESTS_UNIT_SOURCE_SOURCE_RIG_H_
#define EMBER_TESTS_UNIT_SOURCE_SOURCE_RIG_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node-agent/source/source.h"
#include "tests/support/memory_backup.h"
#include "tests/support/nasty_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree_compare.h"

namespace ember::testing {

class SourceRig : public ::testing::Test {
 protected:
  ~SourceRig() override {
    for (const std::string& each : List()) RemoveNastyTree(directory_.Join(each));
  }

  std::string At(const std::string& name) const { return directory_.Join(name); }
  // The Entry.path of a name in the directory.
  std::string Entry(const std::string& name) const { return At(name).substr(1); }
  void Make(const std::string& name, const std::string& content = "x") {
    std::filesystem::create_directories(std::filesystem::path(At(name)).parent_path());
    std::ofstream(At(name)) << content;
  }
  std::string Content(const std::string& name) const {
    auto content = ReadFile(At(name));
    return content.ok() ? *content : std::string(content.status().message());
  }

  static v1::FilesSource Files(const std::vector<std::string>& paths,
                               const std::vector<std::string>& exclude = {}) {
    v1::FilesSource files;
    for (const std::string& path : paths) files.add_paths(path);
    for (const std::string& glob : exclude) files.add_exclude(glob);
    return files;
  }
  static std::unique_ptr<agent::Source> Open(const std::vector<v1::FilesSource>& files) {
    v1::WorkloadSpec spec;
    for (const auto& each : files) *spec.add_sources()->mutable_files() = each;
    auto source = agent::OpenSource(spec);
    EXPECT_OK(source);
    return source.ok() ? *std::move(source) : nullptr;
  }
  MemoryBackup BackUp(agent::Source* source) {
    MemoryBackup backup;
    backup.roots = source->Roots();
    EXPECT_OK(source->Read(WriteTo(&backup).get()));
    return backup;
  }
  MemoryBackup BackUp(const std::string& name, const std::vector<std::string>& exclude = {}) {
    return BackUp(Open({Files({At(name)}, exclude)}).get());
  }
  absl::StatusOr<v1::RestoreResult> Restore(
      const MemoryBackup& backup, agent::RestorePlan plan = {},
      std::function<absl::Status(const std::string&)> before_entry = {}) {
    if (plan.order_id.empty()) plan.order_id = "plan/web/restore/1";
    plan.now = absl::FromUnixSeconds(1767225600);  // 2026-01-01 00:00:00
    return Open({})->Restore(ReadFrom(&backup, std::move(before_entry)).get(), plan);
  }
  std::vector<std::string> List(const std::string& name = "") const {
    auto names = ListDirectory(At(name));
    return names.ok() ? *std::move(names) : std::vector<std::string>{"unreadable"};
  }
  // Names in a directory that are none of the data.
  std::vector<std::string> Leftovers(const std::string& name = "") const {
    std::vector<std::string> found;
    for (const std::string& each : List(name)) {
      if (each.find(".ember-") != std::string::npos) found.push_back(each);
    }
    return found;
  }

  TempDir directory_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_SOURCE_SOURCE_RIG_H_
