#include "common/files/restore_survey.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"

namespace ember::files {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

std::vector<std::string> PathsOf(const std::vector<Place>& places,
                                 const std::vector<NestedMount>& mounts) {
  std::vector<std::string> paths;
  for (const Place& place : places) paths.push_back(place.path);
  for (const NestedMount& mount : mounts) paths.push_back(mount.path);
  return paths;
}

// The open object `name`, or invalid when it is something that cannot be opened.
Fd OpenIfPlain(int directory, const std::string& name, uint32_t mode) {
  if (!S_ISREG(mode) && !S_ISDIR(mode)) return Fd();
  return OpenQuietly(directory, name, 0);
}

}  // namespace

RestoreSurvey::RestoreSurvey(const std::vector<Place>& places, std::vector<NestedMount> mounts)
    : places_(places),
      finder_(PathsOf(places, {})),
      mounts_(std::move(mounts)),
      regions_(PathsOf(places, mounts_)),
      region_paths_(PathsOf(places, mounts_)),
      disks_(places.size()) {}

absl::Status RestoreSurvey::Add(const Entry& entry) {
  EMBER_RETURN_IF_ERROR(CheckEntryPath(entry.path()));
  const int place = finder_.Find(entry.path());
  if (place < 0)
    return Damaged("the list of files", absl::StrCat(Shown(entry.path()), " was not asked for"));
  // The first entry after a mount point tells whether the backup has anything below it.
  while (next_mount_ < mounts_.size() &&
         backup::PathLess(mounts_[next_mount_].path, entry.path())) {
    NestedMount& mount = mounts_[next_mount_++];
    mount.used = IsAtOrBelow(entry.path(), mount.path);
  }
  if (next_mount_ < mounts_.size() && mounts_[next_mount_].path == entry.path())
    mounts_[next_mount_].seen = true;
  ++entries;
  if (entry.path() == places_[place].path) found.insert(places_[place].path);
  if (entry.type() == EntryType::FILE) {
    ++files;
    if (entry.hardlink_to().empty()) {
      const int64_t data = std::max<int64_t>(0, entry.size() - entry.hole_bytes());
      bytes += data;
      place_bytes[region_paths_[regions_.Find(entry.path())]] += data;
    }
  }
  Compare(entry, places_[place], &disks_[place]);
  return absl::OkStatus();
}

void RestoreSurvey::Compare(const Entry& entry, const Place& place, Disk* disk) {
  if (disk->stack == nullptr && place.parent.valid()) {
    absl::StatusOr<Fd> parent = OpenBelow(place.parent.get(), "");
    if (parent.ok()) disk->stack = std::make_unique<DirectoryStack>(std::move(*parent));
  }
  while (!disk->open.empty() && !IsAtOrBelow(entry.path(), disk->open.back())) {
    disk->open.pop_back();
    if (!disk->stack->Leave().ok()) disk->stack = nullptr;
  }
  // Below a directory that is not there, nothing is.
  const bool is_top = entry.path() == place.path;
  const bool parent_open =
      is_top || (!disk->open.empty() && disk->open.back() == SplitLast(entry.path()).first);
  const std::string name = is_top ? place.name : std::string(SplitLast(entry.path()).second);
  struct statx info;
  if (disk->stack == nullptr || !parent_open ||
      !Stat({.directory = disk->stack->fd(), .name = name}, &info)) {
    Note(++added, entry.path(), "added");
    return;
  }
  ++disk->matched;
  if (matched_.size() < kNamedRemovalsOfMax) matched_.insert(absl::HashOf(entry.path()));
  Entry now;
  Fd fd = OpenIfPlain(disk->stack->fd(), name, info.stx_mode);
  metadata_.Read({.fd = fd.get(), .directory = disk->stack->fd(), .name = name}, info, &now);
  if (!SameMetadata(entry, now)) Note(++changed, entry.path(), "changed");
  if (entry.type() == EntryType::DIRECTORY && now.type() == EntryType::DIRECTORY && fd.valid()) {
    disk->stack->Enter(std::move(fd));
    disk->open.push_back(entry.path());
  }
}

void RestoreSurvey::Note(int64_t number, absl::string_view path, const char* what) {
  if (number > static_cast<int64_t>(kProblemsReportedMax)) return;
  v1::PathProblem& change = changes.emplace_back();
  change.set_path(path.data(), path.size());
  change.set_problem(what);
}

// Objects at and below a place, but not in mounts that will stay as they are.
absl::StatusOr<int64_t> RestoreSurvey::Count(const Place& place) {
  struct statx info;
  if (!place.parent.valid() || !Stat({.directory = place.parent.get(), .name = place.name}, &info))
    return 0;
  if (!S_ISDIR(info.stx_mode)) return 1;
  std::set<std::string> skipped;
  for (const NestedMount& mount : mounts_) {
    if (!mount.used && IsAtOrBelow(mount.path, place.path)) skipped.insert(mount.path);
  }
  struct Frame {
    std::string path;
    std::vector<Name> names;
  };
  EMBER_ASSIGN_OR_RETURN(Fd top, OpenDirectoryAt(place.parent.get(), place.name));
  std::vector<Frame> frames(1);
  frames[0].path = place.path;
  EMBER_ASSIGN_OR_RETURN(frames[0].names, ListNames(top.get()));
  DirectoryStack stack(std::move(top));
  int64_t count = 1;
  while (!frames.empty()) {
    if (frames.back().names.empty()) {
      frames.pop_back();
      if (!frames.empty()) EMBER_RETURN_IF_ERROR(stack.Leave());
      continue;
    }
    const Name name = std::move(frames.back().names.back());
    frames.back().names.pop_back();
    const std::string path = Child(frames.back().path, name.name);
    if (IsOwnLeftover(name.name) || skipped.contains(path)) continue;
    ++count;
    if (matched_.size() < kNamedRemovalsOfMax && !matched_.contains(absl::HashOf(path)))
      Note(++removed_named_, path, "removed");
    if (name.type != DT_DIR && name.type != DT_UNKNOWN) continue;
    absl::StatusOr<Fd> fd = OpenDirectoryAt(stack.fd(), name.name);
    if (!fd.ok()) continue;  // no directory, or unreadable: it counts as one
    EMBER_ASSIGN_OR_RETURN(std::vector<Name> names, ListNames(fd->get()));
    stack.Enter(std::move(*fd));
    frames.push_back({path, std::move(names)});
  }
  return count;
}

absl::Status RestoreSurvey::Finish() {
  for (size_t i = 0; i < places_.size(); ++i) {
    disks_[i].stack = nullptr;
    EMBER_ASSIGN_OR_RETURN(const int64_t there, Count(places_[i]));
    int64_t matched = disks_[i].matched;
    for (const NestedMount& mount : mounts_) {
      if (!mount.used && mount.seen && IsAtOrBelow(mount.path, places_[i].path)) --matched;
    }
    removed += std::max<int64_t>(0, there - matched);
  }
  return absl::OkStatus();
}

}  // namespace ember::files
