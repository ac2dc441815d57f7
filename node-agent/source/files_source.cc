#include "node-agent/source/files_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/files_restore.h"
#include "node-agent/source/file_walk.h"

namespace ember::agent {
namespace {

using files::EntryPath;
using files::IsAtOrBelow;
using files::IsOwnLeftover;
using files::ListNames;
using files::Name;
using files::OpenDirectory;
using files::Shown;

// What a root shows, links on the way to it followed.
enum class RootState { kMissing, kEmptyDirectory, kHasData };

RootState StateOf(const FileRoot& root) {
  const std::string path = "/" + root.path;
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? RootState::kMissing : RootState::kHasData;
  }
  if (!S_ISDIR(info.st_mode)) return RootState::kHasData;
  const absl::StatusOr<Fd> fd = OpenDirectory(path);
  if (!fd.ok()) return RootState::kHasData;  // unreadable is not gone
  const auto names = ListNames(fd->get());
  if (!names.ok()) return RootState::kHasData;
  // lost+found is all that a new file system holds.
  const bool empty = std::all_of(names->begin(), names->end(), [](const Name& each) {
    return IsOwnLeftover(each.name) || each.name == "lost+found";
  });
  return empty ? RootState::kEmptyDirectory : RootState::kHasData;
}

class FilesSourceReader : public Source {
 public:
  explicit FilesSourceReader(std::vector<FileRoot> roots) : roots_(std::move(roots)) {}

  std::vector<std::string> Roots() const override {
    std::vector<std::string> top;
    for (const FileRoot& root : roots_) {
      if (top.empty() || !IsAtOrBelow(root.path, top.back())) top.push_back(root.path);
    }
    return top;
  }

  bool DataMissing() const override {
    bool all_empty = !roots_.empty();
    for (const FileRoot& root : roots_) {
      const RootState state = StateOf(root);
      if (state == RootState::kMissing) return true;
      all_empty = all_empty && state == RootState::kEmptyDirectory;
    }
    return all_empty;
  }

  absl::Status Read(backup::BackupWriter* writer) override {
    for (const FileRoot& root : roots_) {
      if (StateOf(root) != RootState::kMissing) continue;
      return WithHint(absl::FailedPreconditionError(
                          absl::StrCat("cannot back up ", Shown(root.path), ": it is missing")),
                      "restore it, or correct the path in the estate file");
    }
    return WalkFiles(roots_, writer);
  }

  absl::StatusOr<v1::RestoreResult> Restore(backup::RestoreReader* reader,
                                            const RestorePlan& plan) override {
    return files::RestoreFiles(reader, plan);
  }

 private:
  const std::vector<FileRoot> roots_;  // in path order, each once
};

// The same root listed again: what either wants is kept.
void Merge(const FileRoot& again, FileRoot* root) {
  root->one_file_system = root->one_file_system && again.one_file_system;
  std::erase_if(root->exclude, [&](const std::string& glob) {
    return std::find(again.exclude.begin(), again.exclude.end(), glob) == again.exclude.end();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Source>> OpenFilesSource(const std::vector<v1::FilesSource>& specs) {
  std::map<std::string, FileRoot> by_path;
  for (const v1::FilesSource& spec : specs) {
    if (spec.paths().empty()) return absl::InvalidArgumentError("a files source has no paths");
    for (const std::string& path : spec.paths()) {
      FileRoot root{.one_file_system = spec.one_file_system()};
      EMBER_ASSIGN_OR_RETURN(root.path, EntryPath(path));
      for (absl::string_view glob : spec.exclude()) {
        while (glob.size() > 1 && absl::ConsumeSuffix(&glob, "/")) {
        }
        root.exclude.emplace_back(glob);
      }
      const auto [known, is_new] = by_path.try_emplace(root.path, root);
      if (!is_new) Merge(root, &known->second);
    }
  }
  std::vector<FileRoot> roots;
  for (auto& [path, root] : by_path) roots.push_back(std::move(root));
  std::sort(roots.begin(), roots.end(),
            [](const FileRoot& a, const FileRoot& b) { return backup::PathLess(a.path, b.path); });
  return std::make_unique<FilesSourceReader>(std::move(roots));
}

}  // namespace ember::agent
