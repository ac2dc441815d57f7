#include "common/files/file_swap.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/file_target.h"
#include "common/files/inode_flags.h"

namespace ember::files {
namespace {

bool Exists(int directory, const std::string& name) {
  struct stat info;
  return fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

// Not every file system knows the flags of renameat2(2).
bool FlagsUnknown(int error) { return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

bool RenameToFree(int from_directory, const std::string& from, int to_directory,
                  const std::string& to) {
  if (renameat2(from_directory, from.c_str(), to_directory, to.c_str(), RENAME_NOREPLACE) == 0)
    return true;
  if (!FlagsUnknown(errno)) return false;
  if (Exists(to_directory, to)) {
    errno = EEXIST;
    return false;
  }
  return renameat(from_directory, from.c_str(), to_directory, to.c_str()) == 0;
}

// An immutable or append-only object cannot be renamed; lifts that for the life of this object. The
// flags are set again on the inode, wherever it went.
class FlagsLifted {
 public:
  FlagsLifted(int directory, const std::string& name) {
    struct statx info;
    if (statx(directory, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) != 0) return;
    if ((info.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) == 0) return;
    fd_ = OpenQuietly(directory, name, 0);
    if (!fd_.valid()) return;
    flags_ = GetFlags(fd_.get()).value_or(0) & kFlagsLast;
    SetFlags(fd_.get(), 0, kFlagsLast);
  }
  ~FlagsLifted() {
    const int error = errno;  // of the rename
    if (flags_ != 0) SetFlags(fd_.get(), flags_, kFlagsLast);
    errno = error;
  }
  FlagsLifted(const FlagsLifted&) = delete;
  FlagsLifted& operator=(const FlagsLifted&) = delete;

 private:
  Fd fd_;
  uint32_t flags_ = 0;
};

absl::Status Sync(int directory, const std::string& path) {
  // EBADF: a directory that this user may pass but not read.
  if (fsync(directory) != 0 && errno != EBADF && errno != EINVAL)
    return ErrnoToStatus(errno, "fsync " + path);
  return absl::OkStatus();
}

}  // namespace

FileSwap::FileSwap(absl::Time now)
    : stamp_(absl::StrCat(".ember-safety-",
                          absl::FormatTime("%Y%m%d-%H%M%S", now, absl::UTCTimeZone()))) {}

std::string FileSwap::SafetyName(int directory, const std::string& name) const {
  for (int n = 0;; ++n) {
    const std::string suffix = n == 0 ? stamp_ : absl::StrCat(stamp_, "-", n);
    // A long name is cut so that the whole still is one.
    const std::string safety = absl::StrCat(name.substr(0, NAME_MAX - suffix.size()), suffix);
    if (!Exists(directory, safety)) return safety;
  }
}

absl::Status FileSwap::Swap(Place* place) {
  const size_t mark = undo_.size();
  const absl::Status status = place->inside ? SwapInside(place) : SwapWhole(place);
  if (status.ok()) return Sync(place->host(), place->destination);
  const absl::Status undone = UndoTo(mark);
  if (!undone.ok()) return Annotate(status, undone.message());
  place->safety_copy.clear();
  return status;
}

absl::Status FileSwap::Move(int from_directory, const std::string& from, int to_directory,
                            const std::string& to) {
  const FlagsLifted lifted(from_directory, from);
  if (!RenameToFree(from_directory, from, to_directory, to)) {
    return WriteError(errno, "rename to", Shown(to).substr(1));
  }
  undo_.push_back([=]() -> absl::Status {
    const FlagsLifted lifted_again(to_directory, to);
    if (RenameToFree(to_directory, to, from_directory, from)) return absl::OkStatus();
    return ErrnoToStatus(errno, absl::StrCat(Shown(to).substr(1), " could not be moved back"));
  });
  return absl::OkStatus();
}

absl::Status FileSwap::SwapWhole(Place* place) {
  const int parent = place->parent.get();
  if (!Exists(parent, place->name))
    return Move(place->staging.get(), kStagedName, parent, place->name);
  const std::string safety = SafetyName(parent, place->name);
  place->safety_copy = JoinPath(SplitLast(place->destination).first, safety);
  if (SplitLast(place->destination).first.empty()) place->safety_copy = "/" + safety;
  EMBER_RETURN_IF_ERROR(Move(place->staging.get(), kStagedName, parent, safety));
  return Exchange(place, safety);
}

// The new tree stands under the safety copy's name; one call changes the two. A crash before it
// leaves the old data in place (and a complete restore beside it), a crash after it the new.
absl::Status FileSwap::Exchange(Place* place, const std::string& safety) {
  const int parent = place->parent.get();
  const std::string name = place->name;
  const auto exchange = [parent, name, safety] {
    const FlagsLifted old_lifted(parent, name), new_lifted(parent, safety);
    return renameat2(parent, name.c_str(), parent, safety.c_str(), RENAME_EXCHANGE) == 0;
  };
  if (exchange()) {
    undo_.push_back([exchange, name]() -> absl::Status {
      if (exchange()) return absl::OkStatus();
      return ErrnoToStatus(errno, absl::StrCat(Shown(name).substr(1), " could not be moved back"));
    });
    return absl::OkStatus();
  }
  if (!FlagsUnknown(errno))
    return ErrnoToStatus(errno, absl::StrCat("exchange ", Shown(name).substr(1)));
  // Without the flag there is an instant in which nothing has the name.
  EMBER_RETURN_IF_ERROR(Move(parent, safety, place->staging.get(), kStagedName));
  EMBER_RETURN_IF_ERROR(Move(parent, name, parent, safety));
  return Move(place->staging.get(), kStagedName, parent, name);
}

// Moves the children that are there into a new safety directory.
absl::Status FileSwap::MoveAside(Place* place) {
  const int directory = place->directory.get();
  EMBER_ASSIGN_OR_RETURN(const std::vector<Name> old_names, ListNames(directory));
  std::shared_ptr<Fd> aside;
  for (const Name& old : old_names) {
    if (IsOwnLeftover(old.name) || place->kept.contains(old.name)) continue;
    if (aside == nullptr) {
      const std::string safety = SafetyName(directory, "");
      if (mkdirat(directory, safety.c_str(), 0700) != 0)
        return WriteError(errno, "make directory", safety);
      undo_.push_back([directory, safety]() -> absl::Status {
        if (unlinkat(directory, safety.c_str(), AT_REMOVEDIR) == 0) return absl::OkStatus();
        return ErrnoToStatus(errno, absl::StrCat("remove ", safety));
      });
      place->safety_copy = JoinPath(place->destination, safety);
      EMBER_ASSIGN_OR_RETURN(Fd fd, OpenDirectoryAt(directory, safety));
      aside = std::make_shared<Fd>(std::move(fd));
      undo_.push_back(
          [aside] { return absl::OkStatus(); });  // stays open until the moves into it are undone
    }
    EMBER_RETURN_IF_ERROR(Move(directory, old.name, aside->get(), old.name));
  }
  return aside == nullptr ? absl::OkStatus() : Sync(aside->get(), place->safety_copy);
}

absl::Status FileSwap::SwapInside(Place* place) {
  EMBER_RETURN_IF_ERROR(MoveAside(place));
  EMBER_ASSIGN_OR_RETURN(Fd opened, OpenDirectoryAt(place->staging.get(), kStagedName));
  const auto staged = std::make_shared<Fd>(std::move(opened));
  EMBER_ASSIGN_OR_RETURN(const std::vector<Name> new_names, ListNames(staged->get()));
  undo_.push_back([staged] { return absl::OkStatus(); });
  for (const Name& name : new_names) {
    if (place->kept.contains(name.name)) continue;
    EMBER_RETURN_IF_ERROR(Move(staged->get(), name.name, place->directory.get(), name.name));
  }
  return absl::OkStatus();
}

absl::Status FileSwap::UndoTo(size_t mark) {
  absl::Status result;
  while (undo_.size() > mark) {
    // Going on after an error would move later steps onto each other.
    if (result.ok()) result = undo_.back()();
    undo_.pop_back();
  }
  return result;
}

absl::Status FileSwap::RollBack() { return UndoTo(0); }

}  // namespace ember::files
