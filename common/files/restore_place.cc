#include "common/files/restore_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/backup/backup_writer.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/mounts.h"

namespace ember::files {
namespace {

// The path of an open directory; a directory whose path is too long for readlink(2) keeps
// `otherwise`.
std::string PathOf(int fd, const std::string& otherwise) {
  char path[4096];
  const ssize_t length = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof path);
  return length <= 0 || length == sizeof path ? otherwise : std::string(path, length);
}

// A link to something that exists stands for it: the owner named the data by it.
std::string Resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), free);
  return real == nullptr ? path : std::string(real.get());
}

// `path` without its last `count` components, when that is still inside `root`.
std::optional<std::string> EntryAbove(absl::string_view path, size_t count,
                                      absl::string_view root) {
  for (; count > 0 && path.size() > root.size(); --count) path = SplitLast(path).first;
  if (count > 0 || !IsAtOrBelow(path, root) || path.empty()) return std::nullopt;
  return std::string(path);
}

// Opens `way` from `at`, component by component. Following links is for the part that the owner
// wrote.
class Way {
 public:
  Way(const Destination& destination, size_t components, std::vector<MadeDirectory>* made)
      : destination_(destination), left_(components), made_(made) {}

  absl::Status Go(Fd* at, absl::string_view path, bool follow) {
    for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
      EMBER_RETURN_IF_ERROR(Step(at, std::string(part), follow));
      --left_;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Step(Fd* at, const std::string& name, bool follow) {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    Fd next(openat(at->get(), name.c_str(), flags));
    if (!next.valid() && errno == EACCES && follow) {  // may be passed, not listed
      next = Fd(openat(at->get(), name.c_str(), O_PATH | flags));
    }
    if (!next.valid() && errno == ENOENT && made_ != nullptr) {
      if (mkdirat(at->get(), name.c_str(), 0755) != 0)
        return ErrnoToStatus(errno, "mkdir " + Shown(name).substr(1));
      next = Fd(openat(at->get(), name.c_str(), flags | O_NOFOLLOW));
      if (!next.valid()) return ErrnoToStatus(errno, "open " + Shown(name).substr(1));
      auto parent = std::make_shared<Fd>(std::move(*at));
      made_->push_back({parent, name, EntryAbove(destination_.path, left_, destination_.root)});
    }
    if (!next.valid() && (errno == ENOTDIR || errno == ELOOP)) {
      return WithHint(
          absl::FailedPreconditionError(absl::StrCat("cannot restore ", Shown(destination_.path),
                                                     ": ", Shown(name).substr(1),
                                                     " on the way is no directory")),
          "restore the directory above it, or restore to another directory (--to NODE:DIR)");
    }
    if (!next.valid()) return ErrnoToStatus(errno, "open " + Shown(name).substr(1));
    *at = std::move(next);
    return absl::OkStatus();
  }

  const Destination& destination_;
  size_t left_;  // components from the current directory's child to the destination
  std::vector<MadeDirectory>* const made_;
};

size_t Components(absl::string_view path) {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  return parts.size();
}

}  // namespace

absl::StatusOr<Place> OpenPlace(const Destination& destination, std::vector<MadeDirectory>* made) {
  const std::string anchor =
      destination.below.empty() ? Resolved(destination.anchor) : destination.anchor;
  const std::string whole =
      destination.below.empty() ? anchor : JoinPath(anchor, destination.below);
  const auto [directory, name] =
      SplitLast(destination.below.empty() ? absl::string_view(anchor) : destination.below);
  Place place{.path = destination.path, .destination = whole, .name = std::string(name)};
  if (name.empty()) {
    return WithHint(
        absl::FailedPreconditionError("cannot replace /: the running system stands on it"),
        "restore single paths (--path), or to another directory (--to NODE:DIR)");
  }
  const std::string followed(destination.below.empty() ? directory : absl::string_view(anchor));
  const std::string walked(destination.below.empty() ? absl::string_view() : directory);
  Fd at(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return ErrnoToStatus(errno, "open /");
  Way way(destination, Components(followed) + Components(walked), made);
  absl::Status status = way.Go(&at, followed, /*follow=*/true);
  if (status.ok()) status = way.Go(&at, walked, /*follow=*/false);
  if (absl::IsNotFound(status) && made == nullptr) return place;
  EMBER_RETURN_IF_ERROR(status);
  place.destination =
      JoinPath(PathOf(at.get(), whole.substr(0, whole.size() - name.size() - 1)), name);
  place.parent = std::move(at);
  return place;
}

absl::StatusOr<std::vector<NestedMount>> MountsBelow(const Place& place) {
  std::vector<NestedMount> mounts;
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> points,
                         MountPointsBelow(place.destination));
  for (const std::string& point : points) {
    const std::string below(Below(point, place.destination));
    NestedMount mount{.path = Child(place.path, below), .destination = point};
    const absl::StatusOr<Fd> fd = OpenDirectory(point);
    mount.restorable = fd.ok() && !OnPseudoFileSystem(fd->get());
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

absl::StatusOr<std::vector<Place>> SplitAtMounts(Place place,
                                                 const std::vector<NestedMount>& mounts) {
  const bool is_mount = place.parent.valid() && IsMountPoint(place.parent.get(), place.name);
  std::vector<Place> places;
  if (!is_mount && mounts.empty()) {
    places.push_back(std::move(place));
    return places;
  }
  // Entry paths of the directories whose children are swapped, sorted, so that each comes after
  // those above it.
  std::set<std::string> inside{place.path}, kept;
  for (const NestedMount& mount : mounts) {
    if (mount.used && !mount.restorable) {
      return absl::FailedPreconditionError(absl::StrCat("cannot restore ", Shown(mount.path), ": ",
                                                        Shown(mount.destination.substr(1)),
                                                        " is in use as a mount point"));
    }
    for (std::string at = mount.path; at != place.path; at = std::string(SplitLast(at).first)) {
      kept.insert(at);
      if (at != mount.path || mount.used) inside.insert(at);
    }
  }
  // Below a mount that stays as it is, everything stays.
  for (const NestedMount& mount : mounts) {
    if (mount.used) continue;
    for (auto it = inside.begin(); it != inside.end();) {
      it = IsAtOrBelow(*it, mount.path) ? inside.erase(it) : std::next(it);
    }
  }
  const std::string base_path = place.path, base_destination = place.destination;
  for (const std::string& path : inside) {
    Place part{.path = path,
               .destination = JoinPath(base_destination, Below(path, base_path)),
               .inside = true};
    if (path == base_path) part.destination = base_destination;
    EMBER_ASSIGN_OR_RETURN(part.directory, OpenDirectory(part.destination));
    for (const std::string& name : kept) {
      if (SplitLast(name).first == path || (path.empty() && SplitLast(name).first.empty())) {
        part.kept.insert(std::string(SplitLast(name).second));
      }
    }
    places.push_back(std::move(part));
  }
  return places;
}

int PlaceFinder::Find(absl::string_view path) const {
  int found = -1;
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (IsAtOrBelow(path, paths_[i]) && (found < 0 || paths_[i].size() > paths_[found].size()))
      found = i;
  }
  return found;
}

}  // namespace ember::files
