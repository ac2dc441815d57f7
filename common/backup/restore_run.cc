#include "common/backup/restore_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;
using format::v1::EntryType;
using format::v1::Extent;

constexpr int64_t kReportBytes = 4 << 20;
constexpr int64_t kReportFiles = 1000;

RecordId IdOf(const Extent& extent) {
  RecordId id;
  ParseRecordId(extent.id(), &id);  // the manifest reader has checked its length
  return id;
}

bool HasContent(const Entry& entry) {
  return entry.type() == EntryType::FILE && entry.hardlink_to().empty();
}

}  // namespace

RestoreRun::RestoreRun(Context context)
    : context_(std::move(context)),
      filter_(context_.options->paths),
      window_max_(kRestoreWindowBytesMin) {
  progress_.set_phase("restoring");
  progress_.set_bytes_total(context_.bytes_total);
  progress_.set_files_total(context_.files_total);
}

absl::Status RestoreRun::Run() {
  while (true) {
    EMBER_RETURN_IF_ERROR(CheckCancelled());
    EMBER_RETURN_IF_ERROR(Fill());
    if (ahead_.empty()) break;
    EMBER_RETURN_IF_ERROR(DeliverEntry());
  }
  Report(true);
  return absl::OkStatus();
}

// --- reading ahead ---

absl::StatusOr<bool> RestoreRun::NextEntry(Entry* entry) {
  if (linked_ != nullptr) {
    const absl::StatusOr<bool> more = linked_->Next(entry);
    if (more.ok() && *more) {
      entry->set_path(linked_path_);
      return true;
    }
    linked_ = nullptr;
    // Damage shows when the parts are missed at their delivery.
    if (!more.ok() && !(context_.options->anyway && absl::IsDataLoss(more.status()))) return more;
  }
  return context_.manifest->Next(entry);
}

absl::Status RestoreRun::Pull() {
  Part part;
  EMBER_ASSIGN_OR_RETURN(const bool more, NextEntry(&part.entry));
  ended_ = !more;
  if (ended_) return absl::OkStatus();
  if (!part.entry.hardlink_to().empty() && !filter_.Wants(part.entry.hardlink_to())) {
    EMBER_RETURN_IF_ERROR(FollowHardLink(&part.entry));
  }
  part.extents.Swap(part.entry.mutable_extents());
  part.extents.erase(std::remove_if(part.extents.begin(), part.extents.end(),
                                    [&](const Extent& extent) {
                                      return extent.offset() >= context_.options->until ||
                                             extent.offset() + extent.length() <=
                                                 context_.options->from;
                                    }),
                     part.extents.end());
  part.inline_content.swap(*part.entry.mutable_inline_content());
  ahead_.push_back(std::move(part));
  return absl::OkStatus();
}

// The first name of `link` is not wanted: `link` becomes the first name, or a name of the one that
// has become it.
absl::Status RestoreRun::FollowHardLink(Entry* link) {
  const std::string first_path = link->hardlink_to();
  const auto [stand_in, is_new] = stand_ins_.emplace(first_path, link->path());
  if (!is_new) {
    link->set_hardlink_to(stand_in->second);
    return absl::OkStatus();
  }
  link->clear_hardlink_to();
  Entry first;
  std::unique_ptr<ManifestReader> reader = context_.manifest_of(first_path);
  absl::StatusOr<bool> found = reader->Next(&first);
  if (found.ok() && (!*found || first.path() != first_path || !first.hardlink_to().empty())) {
    found = absl::DataLossError(
        absl::StrCat("its first name ", ShownPath(first_path), " is not in the backup"));
  }
  if (!found.ok()) {
    absl::Status content;
    return Hole(link->path(), found.status(), &content);
  }
  link->set_size(first.size());
  link->mutable_extents()->Swap(first.mutable_extents());
  link->set_inline_content(first.inline_content());
  link->set_more_parts(first.more_parts());
  if (link->more_parts()) {
    linked_ = std::move(reader);
    linked_path_ = link->path();
  }
  return absl::OkStatus();
}

absl::Status RestoreRun::Fill() {
  // Many records per request rather than one at a time: wait until half of the window is free.
  if (window_bytes_ > window_max_ / 2) return absl::OkStatus();
  while (window_bytes_ < window_max_) {
    if (next_to_want_ < ahead_.size()) {
      Part& part = ahead_[next_to_want_];
      if (static_cast<int>(part.charges.size()) < part.extents.size()) {
        WantNext(&part);
      } else {
        ++next_to_want_;
      }
      continue;
    }
    if (ended_ || ahead_.size() >= kRestoreLookaheadParts) break;
    EMBER_RETURN_IF_ERROR(Pull());
  }
  return absl::OkStatus();
}

void RestoreRun::WantNext(Part* part) {
  const Extent& extent = part->extents[static_cast<int>(part->charges.size())];
  const RecordId id = IdOf(extent);
  // A group is larger than its files, and counted once for a run of them.
  size_t charge = static_cast<size_t>(extent.length());
  if (charge <= kGroupedFileBytesMax) charge = id == last_wanted_ ? 0 : kGroupTarget;
  last_wanted_ = id;
  context_.window->Want(id);
  part->charges.push_back(charge);
  window_bytes_ += charge;
}

void RestoreRun::PopFront() {
  ahead_.pop_front();
  if (next_to_want_ > 0) --next_to_want_;
}

absl::StatusOr<bool> RestoreRun::FrontContinues(const std::string& path) {
  if (ahead_.empty() && !ended_) EMBER_RETURN_IF_ERROR(Pull());
  return !ahead_.empty() && ahead_.front().entry.part() > 0 && ahead_.front().entry.path() == path;
}

// --- delivery ---

absl::Status RestoreRun::DeliverEntry() {
  Entry entry = ahead_.front().entry;
  entry.clear_more_parts();
  EMBER_ASSIGN_OR_RETURN(const bool takes, context_.target->Begin(entry));
  absl::Status content;
  if (takes && HasContent(entry)) {
    window_max_ = std::min(kRestoreWindowBytes, 2 * window_max_);
    EMBER_RETURN_IF_ERROR(DeliverContent(entry.path(), &content));
  } else {
    // A target that declines files will likely decline more.
    if (HasContent(entry)) window_max_ = kRestoreWindowBytesMin;
    EMBER_RETURN_IF_ERROR(SkipContent(entry.path()));
  }
  if (entry.type() == EntryType::FILE) progress_.set_files(progress_.files() + 1);
  Report(false);
  return context_.target->End(entry, content);
}

absl::Status RestoreRun::DeliverContent(const std::string& path, absl::Status* content) {
  while (true) {
    const bool more = ahead_.front().entry.more_parts();
    EMBER_RETURN_IF_ERROR(DeliverFront(path, content));
    PopFront();
    if (!more) return absl::OkStatus();
    EMBER_ASSIGN_OR_RETURN(const bool continues, FrontContinues(path));
    if (!continues)
      return Hole(path, absl::DataLossError("the rest of its extents is missing"), content);
  }
}

absl::Status RestoreRun::DeliverFront(const std::string& path, absl::Status* content) {
  Part& front = ahead_.front();  // stays where it is while more is read ahead
  if (!front.inline_content.empty()) {
    progress_.set_bytes_read(progress_.bytes_read() +
                             static_cast<int64_t>(front.inline_content.size()));
    EMBER_RETURN_IF_ERROR(context_.target->Write(0, front.inline_content));
  }
  for (int i = 0; i < front.extents.size(); ++i) {
    EMBER_RETURN_IF_ERROR(CheckCancelled());
    if (static_cast<int>(front.charges.size()) == i) WantNext(&front);
    EMBER_RETURN_IF_ERROR(DeliverExtent(path, front.extents[i], content));
    context_.window->Release(IdOf(front.extents[i]));
    window_bytes_ -= front.charges[i];
    EMBER_RETURN_IF_ERROR(Fill());
  }
  return absl::OkStatus();
}

absl::Status RestoreRun::DeliverExtent(const std::string& path, const Extent& extent,
                                       absl::Status* content) {
  absl::StatusOr<absl::string_view> bytes = context_.window->Wait(IdOf(extent));
  if (bytes.ok() && bytes->size() < static_cast<size_t>(extent.start() + extent.length())) {
    bytes = absl::DataLossError("an extent reaches beyond its record");
  }
  if (!bytes.ok()) return Hole(path, bytes.status(), content);
  progress_.set_bytes_read(progress_.bytes_read() + extent.length());
  Report(false);
  return context_.target->Write(extent.offset(), bytes->substr(extent.start(), extent.length()));
}

absl::Status RestoreRun::SkipContent(const std::string& path) {
  while (true) {
    Part& front = ahead_.front();
    const bool more = front.entry.more_parts();
    for (size_t i = 0; i < front.charges.size(); ++i) {
      context_.window->Release(IdOf(front.extents[static_cast<int>(i)]));
      window_bytes_ -= front.charges[i];
    }
    PopFront();
    if (!more) return absl::OkStatus();
    EMBER_ASSIGN_OR_RETURN(const bool continues, FrontContinues(path));
    if (!continues) return absl::OkStatus();
  }
}

absl::Status RestoreRun::Hole(const std::string& path, const absl::Status& why,
                              absl::Status* content) {
  if (!absl::IsDataLoss(why)) return why;
  const absl::Status damaged = context_.damaged(path, why);
  if (!context_.options->anyway) return damaged;
  if (content->ok() && context_.holes != nullptr) {
    v1::PathProblem hole;
    hole.set_path(path);
    hole.set_problem(std::string(why.message()));
    context_.holes->push_back(std::move(hole));
  }
  if (content->ok()) *content = damaged;
  return absl::OkStatus();
}

absl::Status RestoreRun::CheckCancelled() const {
  const std::atomic<bool>* cancelled = context_.options->cancelled;
  if (cancelled != nullptr && cancelled->load())
    return absl::CancelledError("the restore was cancelled");
  return absl::OkStatus();
}

void RestoreRun::Report(bool force) {
  const bool due = progress_.bytes_read() - reported_bytes_ >= kReportBytes ||
                   progress_.files() - reported_files_ >= kReportFiles;
  if (!context_.options->progress || !(due || force)) return;
  reported_bytes_ = progress_.bytes_read();
  reported_files_ = progress_.files();
  context_.options->progress(progress_);
}

}  // namespace ember::backup
