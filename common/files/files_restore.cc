#include "common/files/files_restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/files/directory.h"
#include "common/files/entry_path.h"
#include "common/files/file_swap.h"
#include "common/files/file_target.h"
#include "common/files/remove_tree.h"
#include "common/files/restore_destinations.h"
#include "common/files/restore_place.h"
#include "common/files/restore_survey.h"
#include "common/files/xattr.h"

namespace ember::files {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

// Names the staging directories of an order: a repeat finds what an interrupted run left. FNV-1a,
// 64 bits.
std::string StagingPrefix(absl::string_view order_id) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : order_id) hash = (hash ^ c) * 0x100000001b3;
  return absl::StrCat(".ember-restore-", absl::Hex(hash, absl::kZeroPad16));
}

class FilesRestore {
 public:
  FilesRestore(backup::RestoreReader* reader, const RestorePlan& plan)
      : reader_(reader), plan_(plan) {}
  ~FilesRestore() { CleanUp(); }

  absl::StatusOr<v1::RestoreResult> Run();

 private:
  absl::Status FindPlaces();
  absl::Status Survey();
  absl::Status Prepare();
  absl::Status MakeStaging();
  absl::Status Write(FileTarget* target);
  absl::Status Swap();
  absl::Status FinishMadeDirectories();
  void DropEmptySafetyCopies();
  void CleanUp();
  absl::StatusOr<bool> RootIsDirectory(const std::string& root);
  backup::RestoreOptions Options(std::vector<std::string> paths) const;
  v1::RestoreResult Result() const;

  backup::RestoreReader* const reader_;
  const RestorePlan& plan_;
  std::vector<Destination> destinations_;
  std::vector<Place> places_;
  std::vector<MadeDirectory> made_;
  std::unique_ptr<RestoreSurvey> survey_;
  std::unique_ptr<FileTarget> target_;
  RestoreWarnings warnings_;
  std::vector<v1::PathProblem> holes_;
  bool done_ = false;
};

absl::StatusOr<v1::RestoreResult> FilesRestore::Run() {
  EMBER_RETURN_IF_ERROR(FindPlaces());
  EMBER_RETURN_IF_ERROR(Survey());
  if (plan_.dry_run) return Result();
  EMBER_RETURN_IF_ERROR(Prepare());
  target_ = std::make_unique<FileTarget>(&places_, plan_.cancelled, &warnings_);
  EMBER_RETURN_IF_ERROR(Write(target_.get()));
  EMBER_RETURN_IF_ERROR(Swap());
  done_ = true;
  // From here on the data are in place: what goes wrong is told, not undone.
  target_->FinishInPlace();
  if (const absl::Status status = FinishMadeDirectories(); !status.ok()) {
    warnings_.Add(
        "", "made",
        absl::StrCat("attributes of directories above could not be set: ", status.message()));
  }
  DropEmptySafetyCopies();
  return Result();
}

backup::RestoreOptions FilesRestore::Options(std::vector<std::string> paths) const {
  return {.paths = std::move(paths),
          .anyway = plan_.anyway,
          .cancelled = plan_.cancelled,
          .progress = plan_.progress};
}

absl::StatusOr<bool> FilesRestore::RootIsDirectory(const std::string& root) {
  bool is_directory = true;
  const absl::Status status = reader_->ForEachEntry(Options({root}), [&](const Entry& entry) {
    if (entry.path() == root) is_directory = entry.type() == EntryType::DIRECTORY;
    return absl::CancelledError();  // the first is the one
  });
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  return is_directory;
}

absl::Status FilesRestore::FindPlaces() {
  if (plan_.refuse_existing) EMBER_RETURN_IF_ERROR(CheckNothingReplaced(plan_, {}));
  EMBER_ASSIGN_OR_RETURN(
      destinations_, FindDestinations(reader_->summary(), plan_, [this](const std::string& root) {
        return RootIsDirectory(root);
      }));
  for (const Destination& destination : destinations_) {
    EMBER_ASSIGN_OR_RETURN(Place place, OpenPlace(destination, nullptr));
    places_.push_back(std::move(place));
  }
  return plan_.refuse_existing ? CheckNothingReplaced(plan_, places_) : absl::OkStatus();
}

absl::Status FilesRestore::Survey() {
  std::vector<NestedMount> mounts;
  std::vector<std::string> paths;
  for (const Place& place : places_) {
    EMBER_ASSIGN_OR_RETURN(std::vector<NestedMount> below, MountsBelow(place));
    std::move(below.begin(), below.end(), std::back_inserter(mounts));
    paths.push_back(place.path);
  }
  survey_ = std::make_unique<RestoreSurvey>(places_, std::move(mounts));
  if (!paths.empty()) {
    EMBER_RETURN_IF_ERROR(reader_->ForEachEntry(
        Options(paths), [this](const Entry& entry) { return survey_->Add(entry); }));
  }
  for (const std::string& path : paths) {
    if (!survey_->found.contains(path)) {
      return WithHint(absl::NotFoundError(absl::StrCat(Shown(path), " is not in this backup")),
                      "ember backup files ID lists what is");
    }
  }
  return survey_->Finish();
}

// Opens the places again, now making what is missing on the way, and gives each its staging
// directory.
absl::Status FilesRestore::Prepare() {
  std::vector<Place> places;
  for (size_t i = 0; i < destinations_.size(); ++i) {
    std::vector<NestedMount> mounts;
    for (const NestedMount& mount : survey_->mounts()) {
      if (IsAtOrBelow(mount.path, destinations_[i].path)) mounts.push_back(mount);
    }
    EMBER_ASSIGN_OR_RETURN(Place place, OpenPlace(destinations_[i], &made_));
    EMBER_ASSIGN_OR_RETURN(std::vector<Place> parts, SplitAtMounts(std::move(place), mounts));
    std::move(parts.begin(), parts.end(), std::back_inserter(places));
  }
  places_ = std::move(places);
  if (places_.size() > kRestorePlacesMax) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot restore: more than ", kRestorePlacesMax, " mount points below the target"));
  }
  const std::string prefix = StagingPrefix(plan_.order_id);
  for (const Place& place : places_) {  // left by an interrupted run
    EMBER_ASSIGN_OR_RETURN(const std::vector<Name> names, ListNames(place.host()));
    for (const Name& name : names) {
      if (absl::StartsWith(name.name, prefix))
        EMBER_RETURN_IF_ERROR(RemoveTree(place.host(), name.name));
    }
  }
  EMBER_RETURN_IF_ERROR(CheckSpace(places_, survey_->place_bytes));
  return MakeStaging();
}

absl::Status FilesRestore::MakeStaging() {
  for (size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    const std::string name = absl::StrCat(StagingPrefix(plan_.order_id), "-", i);
    if (mkdirat(place.host(), name.c_str(), 0700) != 0)
      return WriteError(errno, "make directory in", place.destination);
    place.staging_name = name;
    EMBER_ASSIGN_OR_RETURN(place.staging, OpenDirectoryAt(place.host(), name));
    // What new objects inherit from the directory above is not part of the backup.
    RemoveInheritedAcls(place.staging.get());
    if (fchmod(place.staging.get(), 0700) != 0) return ErrnoToStatus(errno, "chmod");
  }
  return absl::OkStatus();
}

absl::Status FilesRestore::Write(FileTarget* target) {
  std::vector<std::string> paths;
  for (const Destination& destination : destinations_) paths.push_back(destination.path);
  if (destinations_.empty()) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(reader_->Restore(Options(std::move(paths)), target, &holes_));
  EMBER_RETURN_IF_ERROR(target->Finish());
  std::set<dev_t> synced;
  for (const Place& place : places_) {  // one flush per file system instead of one per file
    struct stat info;
    if (fstat(place.staging.get(), &info) != 0) return ErrnoToStatus(errno, "stat");
    if (!synced.insert(info.st_dev).second) continue;
    if (syncfs(place.staging.get()) != 0) return WriteError(errno, "sync", place.destination);
  }
  if (plan_.cancelled != nullptr && plan_.cancelled->load())
    return absl::CancelledError("the restore was cancelled");
  return absl::OkStatus();
}

absl::Status FilesRestore::Swap() {
  FileSwap swap(plan_.now);
  for (Place& place : places_) {
    const absl::Status status = swap.Swap(&place);
    if (status.ok()) continue;
    const absl::Status back = swap.RollBack();
    const absl::Status told =
        Annotate(status, absl::StrCat("cannot replace ", Shown(place.destination).substr(1)));
    return back.ok() ? told : Annotate(told, back.message());
  }
  return absl::OkStatus();
}

// Directories that had to be made above a restored path get the attributes that the backup knows of
// them.
absl::Status FilesRestore::FinishMadeDirectories() {
  std::map<std::string, Entry> known;
  for (const MadeDirectory& made : made_) {
    if (made.entry_path.has_value()) known[*made.entry_path];
  }
  if (known.empty()) return absl::OkStatus();
  size_t left = known.size();
  const absl::Status status = reader_->ForEachEntry(Options({}), [&](const Entry& entry) {
    const auto wanted = known.find(entry.path());
    if (wanted == known.end()) return absl::OkStatus();
    wanted->second = entry;
    return --left == 0 ? absl::CancelledError() : absl::OkStatus();
  });
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
    if (!made->entry_path.has_value() || known[*made->entry_path].type() != EntryType::DIRECTORY)
      continue;
    EMBER_ASSIGN_OR_RETURN(const Fd fd, OpenDirectoryAt(made->parent->get(), made->name));
    EMBER_RETURN_IF_ERROR(ApplyMetadata({.fd = fd.get()}, known[*made->entry_path],
                                        [&](absl::string_view key, absl::string_view problem) {
                                          warnings_.Add(*made->entry_path, key, problem);
                                        }));
  }
  return absl::OkStatus();
}

// An empty directory that an owner made as the target is no data to keep.
void FilesRestore::DropEmptySafetyCopies() {
  if (plan_.target_directory.empty()) return;
  for (Place& place : places_) {
    if (place.inside || place.safety_copy.empty()) continue;
    const std::string name(SplitLast(place.safety_copy).second);
    if (unlinkat(place.parent.get(), name.c_str(), AT_REMOVEDIR) == 0) place.safety_copy.clear();
  }
}

void FilesRestore::CleanUp() {
  for (Place& place : places_) {
    place.staging = Fd();
    if (place.staging_name.empty()) continue;
    const absl::Status removed = RemoveTree(place.host(), place.staging_name);
    if (!removed.ok())
      LogWarning("restore", "a staging directory stays", {{"error", removed.message()}});
  }
  if (done_) return;
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
    unlinkat(made->parent->get(), made->name.c_str(), AT_REMOVEDIR);
  }
}

v1::RestoreResult FilesRestore::Result() const {
  v1::RestoreResult result;
  result.set_files(target_ != nullptr ? target_->files() : survey_->files);
  result.set_bytes(target_ != nullptr ? target_->bytes() : survey_->bytes);
  result.set_verified_files(target_ != nullptr ? target_->verified_files() : 0);
  result.set_added(survey_->added);
  result.set_removed(survey_->removed);
  result.set_changed(survey_->changed);
  for (const v1::PathProblem& change : survey_->changes) *result.add_changes() = change;
  for (const Place& place : places_) {
    if (!place.safety_copy.empty()) result.add_safety_copies(Shown(place.safety_copy.substr(1)));
  }
  for (size_t i = 0; i < std::min(holes_.size(), kProblemsReportedMax); ++i)
    *result.add_holes() = holes_[i];
  for (const v1::PathProblem& warning : warnings_.problems()) *result.add_warnings() = warning;
  return result;
}

}  // namespace

absl::StatusOr<v1::RestoreResult> RestoreFiles(backup::RestoreReader* reader,
                                               const RestorePlan& plan) {
  return FilesRestore(reader, plan).Run();
}

}  // namespace ember::files
