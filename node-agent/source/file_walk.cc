#include "node-agent/source/file_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/file_metadata.h"
#include "common/files/mounts.h"
#include "node-agent/source/file_content.h"
#include "node-agent/source/look_ahead.h"

namespace ember::agent {
namespace {

using files::Below;
using files::Child;
using files::DeviceOf;
using files::DirectoryStack;
using files::IsAtOrBelow;
using files::IsOwnLeftover;
using files::ListNames;
using files::MetadataReader;
using files::Name;
using files::Object;
using files::OnPseudoFileSystem;
using files::SplitLast;
using files::Stat;
using format::v1::Entry;

std::string WhyNot(int error) {
  return error == ENOENT ? "vanished while it was read" : strerror(error);
}

class Walk {
 public:
  Walk(const std::vector<FileRoot>& roots, backup::BackupWriter* writer) : writer_(writer) {
    for (const FileRoot& root : roots) roots_[root.path] = &root;
  }

  absl::Status Run() {
    std::optional<std::string> top;
    for (const auto& [path, root] : roots_) {
      if (top.has_value() && IsAtOrBelow(path, *top)) continue;  // met on the way
      top = path;
      EMBER_RETURN_IF_ERROR(WalkTop(*root));
    }
    return absl::OkStatus();
  }

 private:
  struct PathOrder {
    bool operator()(const std::string& a, const std::string& b) const {
      return backup::PathLess(a, b);
    }
  };
  // A directory being walked: the names still to come.
  struct Frame {
    std::string path;
    std::unique_ptr<LookAhead::Listing> listing;
    size_t next = 0;
    const FileRoot* root = nullptr;
    uint64_t root_device = 0;
    uint64_t device = 0;
    bool only_roots = false;  // excluded, but a root lies below
  };

  absl::Status WalkTop(const FileRoot& root);
  absl::Status WalkBelow();
  absl::Status Visit(size_t index);
  absl::Status Add(Found found, int directory, const Name& name, const std::string& path,
                   const Frame& from);
  absl::Status Descend(Found found, const std::string& path, const Frame& from);
  // Looks ahead into what is neither excluded nor a root of its own.
  std::unique_ptr<LookAhead::Listing> Listing(Found* found, const Frame& frame);
  // `whole`: all of its metadata could be read.
  absl::Status AddEntry(Entry entry, const Found& found, bool whole);
  // False: it must be looked at the long way.
  absl::StatusOr<bool> AddUnchanged(size_t index, const std::string& path);
  bool RootBelow(const std::string& path) const {
    const auto next = roots_.upper_bound(path);
    return next != roots_.end() && IsAtOrBelow(next->first, path);
  }

  backup::BackupWriter* const writer_;
  std::map<std::string, const FileRoot*, PathOrder> roots_;
  MetadataReader metadata_;
  Entry seen_;  // what AddUnchanged fills in anew, so that it need not be made anew
  LookAhead ahead_;
  std::vector<Frame> frames_;  // their listings are of ahead_
  std::unique_ptr<DirectoryStack> stack_;
  // Inodes with several names: the first, and how many are still to come.
  struct Link {
    std::string first;
    uint32_t left = 0;
  };
  std::map<std::pair<uint64_t, uint64_t>, Link> links_;
};

absl::Status Walk::WalkTop(const FileRoot& root) {
  const std::string absolute = "/" + root.path;
  const std::unique_ptr<char, decltype(&free)> real(realpath(absolute.c_str(), nullptr), free);
  if (real == nullptr) {
    writer_->AddProblem(root.path, WhyNot(errno));
    return absl::OkStatus();
  }
  const auto [directory, name] = SplitLast(real.get());
  // O_PATH: a directory that may be passed but not listed will do.
  const Fd above(open(directory.empty() ? "/" : std::string(directory).c_str(),
                      O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!above.valid()) {
    writer_->AddProblem(root.path, WhyNot(errno));
    return absl::OkStatus();
  }
  const Name found_name{name.empty() ? "." : std::string(name), DT_UNKNOWN};
  Found found = Find(above.get(), found_name);
  Frame from{.root = &root, .root_device = DeviceOf(found.info), .device = DeviceOf(found.info)};
  if (found.fd != nullptr && OnPseudoFileSystem(found.fd->get())) {
    writer_->AddProblem(root.path, "it shows the kernel's own state and holds no files");
    return absl::OkStatus();
  }
  EMBER_RETURN_IF_ERROR(Add(std::move(found), above.get(), found_name, root.path, from));
  return WalkBelow();
}

absl::Status Walk::WalkBelow() {
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.next < frame.listing->names().size()) {
      EMBER_RETURN_IF_ERROR(Visit(frame.next++));
      continue;
    }
    frames_.pop_back();
    if (frames_.empty()) {
      stack_.reset();
    } else if (const absl::Status left = stack_->Leave(); !left.ok()) {
      Frame& lost = frames_.back();
      writer_->AddProblem(lost.path, left.message());
      lost.next = lost.listing->names().size();
    }
  }
  return absl::OkStatus();
}

absl::Status Walk::Visit(size_t index) {
  const Frame& frame = frames_.back();
  const Name name = frame.listing->names()[index];  // its frame may move
  const std::string path = Child(frame.path, name.name);
  if (const auto root = roots_.find(path); root != roots_.end()) {
    Found found = Find(stack_->fd(), name);
    const Frame from{
        .root = root->second, .root_device = DeviceOf(found.info), .device = frame.device};
    return Add(std::move(found), stack_->fd(), name, path, from);
  }
  const bool excluded = frame.only_roots || IsExcluded(*frame.root, path);
  if (excluded && !RootBelow(path)) return absl::OkStatus();
  EMBER_ASSIGN_OR_RETURN(const bool unchanged, AddUnchanged(index, path));
  if (unchanged) return absl::OkStatus();
  Frame from{.root = frame.root,
             .root_device = frame.root_device,
             .device = frame.device,
             .only_roots = excluded};
  std::optional<Found> found = frame.listing->TakeDirectory(index);
  if (!found.has_value()) found = Find(stack_->fd(), name);
  return Add(*std::move(found), stack_->fd(), name, path, from);
}

absl::StatusOr<bool> Walk::AddUnchanged(size_t index, const std::string& path) {
  const Frame& frame = frames_.back();
  const Name& name = frame.listing->names()[index];
  const struct statx* const seen = frame.listing->Seen(index);
  if (name.type == DT_DIR || path.size() > kPathBytesMax) return false;
  struct statx looked;
  if (seen == nullptr && !Stat({.directory = stack_->fd(), .name = name.name}, &looked))
    return false;
  const struct statx& info = seen != nullptr ? *seen : looked;
  // A directory is opened anyway. Which name of an inode has the content is found on the way.
  if (S_ISDIR(info.stx_mode) || info.stx_nlink > 1) return false;
  if (frame.root->one_file_system && DeviceOf(info) != frame.root_device) return false;
  const std::optional<backup::SourceStamp> stamp = metadata_.KnownStamp(info);
  if (!stamp.has_value()) return false;
  seen_.set_path(path);
  metadata_.ReadStat(info, &seen_);
  return writer_->AddUnchanged(seen_, *stamp);
}

absl::Status Walk::Add(Found found, int directory, const Name& name, const std::string& path,
                       const Frame& from) {
  if (path.size() > kPathBytesMax) {
    writer_->AddProblem(path.substr(0, kPathBytesMax), "its path is too long");
    return absl::OkStatus();
  }
  if (!found.problem.empty()) writer_->AddProblem(path, found.problem);
  const bool is_directory = S_ISDIR(found.info.stx_mode);
  if (!found.known || (!is_directory && !found.problem.empty())) return absl::OkStatus();
  Entry entry;
  entry.set_path(path);
  Object object{.directory = directory, .name = name.name};
  if (found.fd != nullptr) object.fd = found.fd->get();
  const std::string problem = metadata_.Read(object, found.info, &entry);
  if (!problem.empty()) writer_->AddProblem(path, problem);
  EMBER_RETURN_IF_ERROR(AddEntry(std::move(entry), found, problem.empty()));
  return is_directory && found.fd != nullptr ? Descend(std::move(found), path, from)
                                             : absl::OkStatus();
}

absl::Status Walk::Descend(Found found, const std::string& path, const Frame& from) {
  const uint64_t device = DeviceOf(found.info);
  Frame frame{.path = path, .root = from.root, .root_device = from.root_device, .device = device};
  if (device != from.device && OnPseudoFileSystem(found.fd->get())) return absl::OkStatus();
  frame.only_roots = from.only_roots || (from.root->one_file_system && device != from.root_device);
  if (frame.only_roots && !RootBelow(path)) return absl::OkStatus();
  if (!found.names.has_value()) {
    absl::StatusOr<std::vector<Name>> names = ListNames(found.fd->get());
    if (!names.ok()) {
      writer_->AddProblem(path, names.status().message());
      return absl::OkStatus();
    }
    found.names = *std::move(names);
  }
  frame.listing = Listing(&found, frame);
  if (stack_ == nullptr) {
    stack_ = std::make_unique<DirectoryStack>(std::move(*found.fd));
  } else {
    stack_->Enter(std::move(*found.fd));
  }
  frames_.push_back(std::move(frame));
  return absl::OkStatus();
}

std::unique_ptr<LookAhead::Listing> Walk::Listing(Found* found, const Frame& frame) {
  return ahead_.Enter(*found, *std::move(found->names), std::move(found->seen),
                      [this, above = frame.path, root = frame.root,
                       only_roots = frame.only_roots](const Name& name) {
                        const std::string path = Child(above, name.name);
                        return !only_roots && !roots_.contains(path) && !IsExcluded(*root, path);
                      });
}

absl::Status Walk::AddEntry(Entry entry, const Found& found, bool whole) {
  const bool linked = found.info.stx_nlink > 1 && !S_ISDIR(found.info.stx_mode);
  const std::pair<uint64_t, uint64_t> inode(DeviceOf(found.info), found.info.stx_ino);
  const auto first = linked ? links_.find(inode) : links_.end();
  const bool again = first != links_.end();
  if (again) {
    entry.set_hardlink_to(first->second.first);
    if (--first->second.left == 0) links_.erase(first);
  }
  const std::string path = entry.path();
  const auto failed = std::make_shared<std::atomic<bool>>(false);
  backup::SourceStamp stamp;
  if (S_ISREG(found.info.stx_mode)) {
    stamp = metadata_.Stamp(found.fd->get(), found.info);
  } else if (!S_ISDIR(found.info.stx_mode)) {
    stamp = metadata_.KnownStamp(found.info).value_or(backup::SourceStamp());
  }
  stamp.covers_metadata = stamp.covers_metadata && whole;
  if (S_ISREG(found.info.stx_mode)) {
    EMBER_RETURN_IF_ERROR(
        writer_->Add(std::move(entry), stamp, [fd = found.fd, info = found.info, failed] {
          return absl::StatusOr<std::unique_ptr<backup::FileContent>>(
              OpenContent(fd, info, failed));
        }));
  } else {
    EMBER_RETURN_IF_ERROR(writer_->Add(std::move(entry), stamp, nullptr));
  }
  // A name whose content could not be read is not in the backup: the next one is the first.
  if (linked && !again && !failed->load()) links_[inode] = {path, found.info.stx_nlink - 1};
  return absl::OkStatus();
}

}  // namespace

bool IsExcluded(const FileRoot& root, absl::string_view path) {
  const absl::string_view shown = Below(path, root.path);
  if (shown.empty()) return false;
  if (IsOwnLeftover(SplitLast(shown).second)) return true;
  if (root.exclude.empty()) return false;
  const std::string below(shown), last(SplitLast(shown).second);  // that end as fnmatch(3) wants
  for (const std::string& glob : root.exclude) {
    if (fnmatch(glob.c_str(), below.c_str(), FNM_PATHNAME) == 0 ||
        fnmatch(glob.c_str(), last.c_str(), 0) == 0) {
      return true;
    }
  }
  return false;
}

absl::Status WalkFiles(const std::vector<FileRoot>& roots, backup::BackupWriter* writer) {
  return Walk(roots, writer).Run();
}

}  // namespace ember::agent
