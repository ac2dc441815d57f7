#include "common/backup/verify_run.h"

#include <algorithm>
#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;

constexpr size_t kReportEntries = 1000;

}  // namespace

absl::Status VerifyRun::Run() {
  progress_.set_phase("verifying");
  Entry entry;
  while (true) {
    EMBER_ASSIGN_OR_RETURN(const bool more, context_.manifest->Next(&entry));
    if (!more) break;
    totals_.Add(entry);
    if (IsInSample(entry)) {
      for (const format::v1::Extent& extent : entry.extents())
        EMBER_RETURN_IF_ERROR(Check(entry.path(), extent));
    }
    if (totals_.entries % kReportEntries == 0) Report();
  }
  EMBER_RETURN_IF_ERROR(FinishDownTo(0));
  Report();
  return absl::OkStatus();
}

bool VerifyRun::IsInSample(const Entry& entry) {
  const int percent = context_.options->sample_percent;
  if (percent == 0 || entry.type() != format::v1::EntryType::FILE) return true;
  if (entry.part() > 0) return sampled_;
  sampled_ = absl::Uniform(random_, 0, 100) < percent;
  if (!sampled_) {
    ++files_skipped_;
    bytes_skipped_ += entry.hardlink_to().empty() ? entry.size() : 0;
  }
  return sampled_;
}

void VerifyRun::Damaged(const std::string& path, const absl::Status& why) {
  if (path == damaged_path_) return;
  damaged_path_ = path;
  context_.damaged(path, why);
}

absl::Status VerifyRun::FinishDownTo(size_t count) {
  while (waiting_.size() > count) {
    EMBER_RETURN_IF_ERROR(Finish(waiting_.front()));
    waiting_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status VerifyRun::Check(const std::string& path, const format::v1::Extent& extent) {
  Waiting next;
  ParseRecordId(extent.id(), &next.id);
  next.end = static_cast<uint64_t>(extent.start()) + static_cast<uint64_t>(extent.length());
  if (const uint32_t* known = SizeOf(next.id)) {
    CheckEnd(path, next.end, *known);
    return absl::OkStatus();
  }
  // Down to half, so that many records are asked for at once.
  if (waiting_bytes_ >= kRestoreWindowBytes || waiting_.size() >= kPendingEntriesMax) {
    EMBER_RETURN_IF_ERROR(FinishDownTo(waiting_.size() / 2));
    if (const uint32_t* known = SizeOf(next.id)) {
      CheckEnd(path, next.end, *known);
      return absl::OkStatus();
    }
  }
  next.path = path;
  const bool same = !waiting_.empty() && waiting_.back().id == next.id;
  next.charge = same ? 0 : std::max(static_cast<size_t>(extent.length()), kGroupTarget);
  waiting_bytes_ += next.charge;
  context_.window->Want(next.id);
  waiting_.push_back(std::move(next));
  return absl::OkStatus();
}

const uint32_t* VerifyRun::SizeOf(const RecordId& id) const {
  for (const Sizes* sizes : {&newer_sizes_, &older_sizes_}) {
    if (const auto known = sizes->find(PrefixOf(id)); known != sizes->end()) return &known->second;
  }
  return nullptr;
}

absl::Status VerifyRun::Finish(const Waiting& waiting) {
  const absl::StatusOr<absl::string_view> bytes = context_.window->Wait(waiting.id);
  if (absl::IsDataLoss(bytes.status())) {
    Damaged(waiting.path, bytes.status());
    context_.window->Release(waiting.id);
    waiting_bytes_ -= waiting.charge;
    return absl::OkStatus();
  }
  EMBER_RETURN_IF_ERROR(bytes.status());
  const uint64_t size = bytes->size();
  if (SizeOf(waiting.id) == nullptr) {
    if (newer_sizes_.size() >= kKnownIdsMax / 2) older_sizes_ = std::exchange(newer_sizes_, {});
    newer_sizes_.emplace(PrefixOf(waiting.id), static_cast<uint32_t>(size));
    ++records_;
    progress_.set_bytes_read(progress_.bytes_read() + static_cast<int64_t>(size));
  }
  context_.window->Release(waiting.id);
  waiting_bytes_ -= waiting.charge;
  CheckEnd(waiting.path, waiting.end, size);
  return absl::OkStatus();
}

void VerifyRun::CheckEnd(const std::string& path, uint64_t end, uint64_t size) {
  if (end > size) Damaged(path, absl::DataLossError("an extent reaches beyond its record"));
}

void VerifyRun::Report() {
  if (!context_.options->progress) return;
  progress_.set_files(static_cast<int64_t>(totals_.files));
  context_.options->progress(progress_);
}

}  // namespace ember::backup
