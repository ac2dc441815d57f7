#include "common/files/file_target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"
#include "common/files/file_copy.h"
#include "common/files/inode_flags.h"
#include "common/files/xattr.h"

namespace ember::files {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

std::vector<std::string> PathsOf(const std::vector<Place>& places) {
  std::vector<std::string> paths;
  for (const Place& place : places) paths.push_back(place.path);
  return paths;
}

absl::Status Refused(const Entry& entry, absl::string_view why) {
  return Damaged("the list of files", absl::StrCat(Shown(entry.path()), " ", why));
}

std::string StagedPath(absl::string_view below) {
  return below.empty() ? kStagedName : Child(kStagedName, below);
}

}  // namespace

absl::Status WriteError(int error_number, absl::string_view what, absl::string_view path) {
  const std::string where = absl::StrCat(what, " ", Shown(path));
  if (error_number == ENOSPC || error_number == EDQUOT) return DiskFull(where);
  return ErrnoToStatus(error_number, where);
}

void RestoreWarnings::Add(absl::string_view path, absl::string_view key,
                          absl::string_view problem) {
  if (problems_.size() >= kProblemsReportedMax || !keys_.insert(std::string(key)).second) return;
  v1::PathProblem& added = problems_.emplace_back();
  added.set_path(std::string(path));
  added.set_problem(std::string(problem));
}

FileTarget::FileTarget(std::vector<Place>* places, const std::atomic<bool>* cancelled,
                       RestoreWarnings* warnings)
    : places_(places),
      finder_(PathsOf(*places)),
      cancelled_(cancelled),
      warnings_(warnings),
      is_root_(geteuid() == 0),
      stagings_(places->size()) {}

AttributeProblem FileTarget::WarnAbout(const Entry& entry) {
  return [this, path = entry.path()](absl::string_view key, absl::string_view problem) {
    warnings_->Add(path, key, problem);
  };
}

absl::StatusOr<bool> FileTarget::Begin(const Entry& entry) {
  if (cancelled_ != nullptr && cancelled_->load())
    return absl::CancelledError("the restore was cancelled");
  EMBER_RETURN_IF_ERROR(CheckEntryPath(entry.path()));
  if (last_path_.has_value() && !backup::PathLess(*last_path_, entry.path())) {
    return Refused(entry, "comes twice or out of order");
  }
  last_path_ = entry.path();
  skipped_ = linked_ = false;
  file_ = Fd();
  EMBER_ASSIGN_OR_RETURN(spot_, SpotFor(entry));
  EMBER_RETURN_IF_ERROR(Make(entry, spot_));
  return file_.valid();
}

// Leaves the directories that are complete, and demands that the object's own directory is the
// current one.
absl::StatusOr<FileTarget::Spot> FileTarget::SpotFor(const Entry& entry) {
  const int index = finder_.Find(entry.path());
  if (index < 0) return Refused(entry, "is outside of what was backed up");
  Place& place = (*places_)[index];
  Staging& staging = stagings_[index];
  if (staging.stack == nullptr) {
    EMBER_ASSIGN_OR_RETURN(Fd top, OpenBelow(place.staging.get(), ""));
    staging.stack = std::make_unique<DirectoryStack>(std::move(top));
  }
  if (entry.path() == place.path) return Spot{staging.stack->fd(), kStagedName};
  while (!staging.open.empty() && !IsAtOrBelow(entry.path(), staging.open.back().path())) {
    EMBER_RETURN_IF_ERROR(CloseDirectory(&staging, &place));
  }
  const auto [directory, name] = SplitLast(entry.path());
  if (staging.open.empty() || staging.open.back().path() != directory) {
    return Refused(entry, "lies in a directory that is not in the list");
  }
  return Spot{staging.stack->fd(), std::string(name)};
}

absl::Status FileTarget::CloseDirectory(Staging* staging, Place* place) {
  Entry entry = std::move(staging->open.back());
  staging->open.pop_back();
  if (place->inside &&
      entry.path() == place->path) {  // the destination gets the attributes, after the swap
    place->attributes = std::move(entry);
  } else {
    EMBER_RETURN_IF_ERROR(FinishObject(entry, {.fd = staging->stack->fd()}));
  }
  return staging->stack->Leave();
}

absl::Status FileTarget::Make(const Entry& entry, const Spot& spot) {
  const int index = finder_.Find(entry.path());
  if (index >= 0 && (*places_)[index].inside && entry.path() == (*places_)[index].path &&
      entry.type() != EntryType::DIRECTORY) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot restore ", Shown(entry.path()),
                     ": it is no directory, but something is mounted there"));
  }
  if (!entry.hardlink_to().empty() && entry.type() != EntryType::DIRECTORY)
    return MakeLink(entry, spot);
  switch (entry.type()) {
    case EntryType::DIRECTORY: return MakeDirectory(entry, spot);
    case EntryType::FILE: return MakeFile(entry, spot);
    case EntryType::SYMLINK:
      if (entry.symlink().empty() || entry.symlink().find('\0') != std::string::npos) {
        return Refused(entry, "is a link to nothing");
      }
      if (symlinkat(entry.symlink().c_str(), spot.directory, spot.name.c_str()) != 0) {
        return WriteError(errno, "make link", entry.path());
      }
      return absl::OkStatus();
    case EntryType::FIFO:
    case EntryType::SOCKET:
    case EntryType::CHARACTER:
    case EntryType::BLOCK: return MakeSpecial(entry, spot);
    default: return Refused(entry, "is of an unknown type");
  }
}

absl::Status FileTarget::MakeDirectory(const Entry& entry, const Spot& spot) {
  if (mkdirat(spot.directory, spot.name.c_str(), 0700) != 0)
    return WriteError(errno, "make directory", entry.path());
  absl::StatusOr<Fd> fd = OpenDirectoryAt(spot.directory, spot.name);
  if (!fd.ok()) return Annotate(fd.status(), Shown(entry.path()));
  // Also clears what was inherited from the directory above.
  SetFlags(fd->get(), entry.inode_flags(), kFlagsWhenEmpty);
  Staging& staging = stagings_[finder_.Find(entry.path())];
  staging.stack->Enter(std::move(*fd));
  staging.open.push_back(entry);
  return absl::OkStatus();
}

absl::Status FileTarget::MakeFile(const Entry& entry, const Spot& spot) {
  file_ = Fd(openat(spot.directory, spot.name.c_str(),
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_.valid()) return WriteError(errno, "create", entry.path());
  SetFlags(file_.get(), entry.inode_flags(), kFlagsWhenEmpty);
  written_end_ = 0;
  return absl::OkStatus();
}

absl::Status FileTarget::MakeSpecial(const Entry& entry, const Spot& spot) {
  mode_t type = S_IFIFO;
  if (entry.type() == EntryType::SOCKET) type = S_IFSOCK;
  if (entry.type() == EntryType::CHARACTER) type = S_IFCHR;
  if (entry.type() == EntryType::BLOCK) type = S_IFBLK;
  const bool is_device = type == S_IFCHR || type == S_IFBLK;
  if (mknodat(spot.directory, spot.name.c_str(), type | 0600, is_device ? entry.device() : 0) ==
      0) {
    return absl::OkStatus();
  }
  if (errno != EPERM || !is_device) return WriteError(errno, "make", entry.path());
  skipped_ = true;
  warnings_->Add(entry.path(), entry.path(), "this device could not be made: only root may");
  return absl::OkStatus();
}

// Another name of an object restored before. Where a link is impossible (another file system, too
// many names) it becomes a copy: the content counts more than the topology.
absl::Status FileTarget::MakeLink(const Entry& entry, const Spot& spot) {
  EMBER_RETURN_IF_ERROR(CheckEntryPath(entry.hardlink_to()));
  const int index = finder_.Find(entry.hardlink_to());
  if (index < 0) return Refused(entry, "is another name of a file outside of what was backed up");
  const Place& place = (*places_)[index];
  const std::string staged = StagedPath(Below(entry.hardlink_to(), place.path));
  const auto [directory, name] = SplitLast(staged);
  const absl::StatusOr<Fd> parent = OpenBelow(place.staging.get(), directory);
  if (!parent.ok()) return Refused(entry, "is another name of a file that is not in the list");
  const Spot first{parent->get(), std::string(name)};
  struct stat info;
  if (fstatat(first.directory, first.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (entry.type() == EntryType::CHARACTER || entry.type() == EntryType::BLOCK) {
      return MakeSpecial(entry, spot);  // the first name could not be made either; warned about
    }
    return Refused(entry, "is another name of a file that is not in the list");
  }
  linked_ = linkat(first.directory, first.name.c_str(), spot.directory, spot.name.c_str(), 0) == 0;
  if (linked_) return absl::OkStatus();
  if (errno != EXDEV && errno != EMLINK) return WriteError(errno, "link", entry.path());
  if (entry.type() == EntryType::FILE) return CopyFrom(first, entry, spot);
  Entry alone = entry;
  alone.clear_hardlink_to();
  return Make(alone, spot);
}

absl::Status FileTarget::CopyFrom(const Spot& first, const Entry& entry, const Spot& spot) {
  const Fd from = OpenQuietly(first.directory, first.name, 0);
  if (!from.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", Shown(entry.hardlink_to())));
  EMBER_RETURN_IF_ERROR(MakeFile(entry, spot));
  const Fd to = std::move(file_);
  if (!CopyContent(from.get(), to.get())) return WriteError(errno, "write", entry.path());
  EMBER_RETURN_IF_ERROR(FinishObject(entry, {.fd = to.get()}));
  linked_ = true;
  return absl::OkStatus();
}

absl::Status FileTarget::Write(int64_t offset, absl::string_view bytes) {
  if (!file_.valid() || offset < 0) return absl::InternalError("content without a file");
  if (cancelled_ != nullptr && cancelled_->load())
    return absl::CancelledError("the restore was cancelled");
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return WriteError(errno, "write", *last_path_);
    offset += n;
    bytes.remove_prefix(n);
  }
  written_end_ = std::max(written_end_, offset);
  return absl::OkStatus();
}

absl::Status FileTarget::End(const Entry& entry, const absl::Status& content) {
  if (entry.type() == EntryType::FILE) ++files_;
  if (skipped_ || linked_ || entry.type() == EntryType::DIRECTORY) return absl::OkStatus();
  if (!file_.valid())
    return FinishObject(entry, {.directory = spot_.directory, .name = spot_.name});
  if (written_end_ < entry.size() && ftruncate(file_.get(), entry.size()) != 0) {
    return WriteError(errno, "write", entry.path());
  }
  if (content.ok()) ++verified_files_;
  const Fd file = std::move(file_);
  return FinishObject(entry, {.fd = file.get()});
}

absl::Status FileTarget::FinishObject(const Entry& entry, const Object& object) {
  // Without privileges a directory must stay open to its owner until nothing is done below it any
  // more.
  const bool shut =
      !is_root_ && entry.type() == EntryType::DIRECTORY && (entry.mode() & 0700) != 0700;
  const uint32_t flags = entry.inode_flags() & kFlagsLast;
  if (shut || flags != 0) {
    late_.push_back({entry.path(), entry.mode() & 07777, flags, shut});
  }
  if (!shut) return Annotate(ApplyMetadata(object, entry, WarnAbout(entry)), Shown(entry.path()));
  Entry open = entry;
  open.set_mode(entry.mode() | 0700);
  return Annotate(ApplyMetadata(object, open, WarnAbout(entry)), Shown(entry.path()));
}

absl::Status FileTarget::Finish() {
  file_ = Fd();
  for (size_t i = 0; i < places_->size(); ++i) {
    while (!stagings_[i].open.empty())
      EMBER_RETURN_IF_ERROR(CloseDirectory(&stagings_[i], &(*places_)[i]));
    stagings_[i].stack = nullptr;
  }
  return absl::OkStatus();
}

void FileTarget::FinishInPlace() {
  for (const Place& place : *places_) {
    if (!place.attributes.has_value()) continue;
    RemoveOtherXattrs(place.directory.get(), *place.attributes);
    const absl::Status status = FinishObject(*place.attributes, {.fd = place.directory.get()});
    if (!status.ok()) {
      warnings_->Add(place.path, "attributes",
                     absl::StrCat("its attributes could not be set: ", status.message()));
    }
  }
  // What lies deeper was completed earlier; shutting a directory first would bar the way.
  for (const Late& late : late_) {
    if (const absl::Status status = FinishLate(late); !status.ok()) {
      warnings_->Add(late.path, "late",
                     absl::StrCat("its mode or inode flags could not be set: ", status.message()));
    }
  }
}

absl::Status FileTarget::FinishLate(const Late& late) {
  const Place& place = (*places_)[finder_.Find(late.path)];
  const absl::string_view below = Below(late.path, place.path);
  std::string path(below);
  if (!place.inside) path = below.empty() ? place.name : Child(place.name, below);
  const auto [directory, name] = SplitLast(path);
  EMBER_ASSIGN_OR_RETURN(const Fd parent, OpenBelow(place.host(), directory));
  const Fd fd = OpenQuietly(parent.get(), name.empty() ? "." : std::string(name), 0);
  if (!fd.valid()) return ErrnoToStatus(errno, "open");
  if (late.flags != 0 && !SetFlags(fd.get(), late.flags, kFlagsLast))
    return ErrnoToStatus(errno, "set inode flags");
  if (late.set_mode && fchmod(fd.get(), late.mode) != 0) return ErrnoToStatus(errno, "chmod");
  return absl::OkStatus();
}

}  // namespace ember::files
