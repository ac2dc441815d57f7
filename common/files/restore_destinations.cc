#include "common/files/restore_destinations.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"

namespace ember::files {
namespace {

// The parts of the backup that are wanted, each with its root.
absl::StatusOr<std::vector<Destination>> Wanted(const std::vector<std::string>& roots,
                                                const std::vector<std::string>& paths) {
  std::vector<Destination> wanted;
  for (const std::string& root : roots) {
    if (paths.empty()) wanted.push_back({.path = root, .root = root});
  }
  for (const std::string& owners_path : paths) {
    EMBER_ASSIGN_OR_RETURN(const std::string path, EntryPath(owners_path));
    const size_t before = wanted.size();
    for (const std::string& root : roots) {
      if (IsAtOrBelow(root, path)) {
        wanted.push_back({.path = root, .root = root});
      } else if (IsAtOrBelow(path, root)) {
        wanted.push_back({.path = path, .root = root});
      }
    }
    if (wanted.size() == before) {
      return WithHint(absl::NotFoundError(absl::StrCat(Shown(path), " is not in this backup")),
                      "ember backup files ID lists what is");
    }
  }
  std::sort(wanted.begin(), wanted.end(), [](const Destination& a, const Destination& b) {
    return backup::PathLess(a.path, b.path);
  });
  std::vector<Destination> apart;
  for (Destination& each : wanted) {
    if (apart.empty() || !IsAtOrBelow(each.path, apart.back().path))
      apart.push_back(std::move(each));
  }
  return apart;
}

bool HoldsSomething(int directory, const std::string& name) {
  struct stat info;
  if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISDIR(info.st_mode)) return true;
  const absl::StatusOr<Fd> fd = OpenDirectoryAt(directory, name);
  if (!fd.ok()) return true;
  const auto names = ListNames(fd->get());
  return !names.ok() || std::any_of(names->begin(), names->end(),
                                    [](const Name& each) { return !IsOwnLeftover(each.name); });
}

}  // namespace

absl::StatusOr<std::vector<Destination>> FindDestinations(
    const format::v1::BackupSummary& summary, const RestorePlan& plan,
    const std::function<absl::StatusOr<bool>(const std::string& root)>& root_is_directory) {
  std::vector<std::string> roots(summary.roots().begin(), summary.roots().end());
  for (const std::string& root : roots) EMBER_RETURN_IF_ERROR(CheckEntryPath(root));
  EMBER_ASSIGN_OR_RETURN(std::vector<Destination> wanted, Wanted(roots, plan.paths));
  if (wanted.size() > kRestorePlacesMax) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("cannot restore ", wanted.size(),
                                                " paths at once: at most ", kRestorePlacesMax)),
        "restore a directory that holds them");
  }
  std::string target;
  if (!plan.target_directory.empty()) {
    EMBER_ASSIGN_OR_RETURN(const std::string path, EntryPath(plan.target_directory));
    target = "/" + path;
  }
  for (Destination& each : wanted) {
    if (target.empty()) {
      each.anchor = "/" + each.root;
      each.below = std::string(Below(each.path, each.root));
      continue;
    }
    each.anchor = target;
    if (roots.size() > 1) {
      each.below = each.path;
    } else if (each.path != each.root) {
      each.below = std::string(Below(each.path, each.root));
    } else if (!each.root.empty()) {
      EMBER_ASSIGN_OR_RETURN(const bool is_directory, root_is_directory(each.root));
      if (!is_directory) each.below = std::string(SplitLast(each.root).second);
    }
  }
  return wanted;
}

absl::Status CheckNothingReplaced(const RestorePlan& plan, const std::vector<Place>& places) {
  if (!plan.target_directory.empty() && HoldsSomething(AT_FDCWD, plan.target_directory)) {
    return TargetNotEmpty(Shown(plan.target_directory).substr(1));
  }
  for (const Place& place : places) {
    if (place.parent.valid() && HoldsSomething(place.parent.get(), place.name)) {
      return TargetNotEmpty(Shown(place.destination).substr(1));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSpace(const std::vector<Place>& places,
                        const std::map<std::string, int64_t>& bytes_by_path) {
  std::map<dev_t, int64_t> needed;
  for (const Place& place : places) {
    struct stat info;
    struct statvfs system;
    if (fstat(place.host(), &info) != 0 || fstatvfs(place.host(), &system) != 0) continue;
    const auto bytes = bytes_by_path.find(place.path);
    int64_t& total = needed[info.st_dev];
    if (bytes != bytes_by_path.end()) total += bytes->second;
    const uint64_t blocks =
        geteuid() == 0 ? system.f_bfree : system.f_bavail;  // root may use the reserve
    const uint64_t free = blocks * system.f_frsize;
    if (static_cast<uint64_t>(total) > free) {
      return DiskFull(absl::StrCat("restore to ", Shown(place.destination).substr(1), " needs ",
                                   total, " bytes, ", free, " are free"));
    }
  }
  return absl::OkStatus();
}

}  // namespace ember::files
