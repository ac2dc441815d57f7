#include "common/backup/id_set.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace ember::backup {
namespace {

// A run that is merged, and the first of its ids that is left.
struct Head {
  absl::string_view id;
  IdCursor* run;
};

absl::string_view Joined(const std::vector<RecordId>& ids) {
  return absl::string_view(ids.empty() ? nullptr : ids.front().data(),
                           ids.size() * sizeof(RecordId));
}

bool IsLater(const Head& a, const Head& b) { return a.id > b.id; }

}  // namespace

absl::StatusOr<absl::string_view> IdCursor::Next() {
  if (at_ == piece_.size()) {
    if (next_ == end_) return absl::string_view();
    EMBER_ASSIGN_OR_RETURN(piece_,
                           file_->Read(next_, std::min<uint64_t>(kIdsReadBytes, end_ - next_)));
    next_ += piece_.size();
    at_ = 0;
  }
  at_ += sizeof(RecordId);
  return absl::string_view(piece_).substr(at_ - sizeof(RecordId), sizeof(RecordId));
}

IdSet::IdSet(std::string directory, size_t in_memory)
    : in_memory_(in_memory),
      runs_(directory, 0),
      sorted_(std::move(directory), in_memory * sizeof(RecordId)) {}

absl::Status IdSet::Add(const RecordId& id) {
  run_.push_back(id);
  if (run_.size() < in_memory_) return absl::OkStatus();
  SortRun();
  // Ids that come often do not make a run each time.
  return run_.size() <= in_memory_ / 2 ? absl::OkStatus() : EndRun();
}

void IdSet::SortRun() {
  // As bytes, the way a vault compares them.
  std::sort(run_.begin(), run_.end(),
            [](const RecordId& a, const RecordId& b) { return BytesOf(a) < BytesOf(b); });
  run_.erase(std::unique(run_.begin(), run_.end()), run_.end());
}

absl::Status IdSet::EndRun() {
  EMBER_RETURN_IF_ERROR(runs_.Append(Joined(run_)));
  run_ends_.push_back(runs_.size());
  run_.clear();
  return absl::OkStatus();
}

absl::Status IdSet::Sort() {
  SortRun();
  if (run_ends_.empty()) {
    EMBER_RETURN_IF_ERROR(sorted_.Append(Joined(run_)));
  } else {
    EMBER_RETURN_IF_ERROR(EndRun());
    EMBER_RETURN_IF_ERROR(Merge());
  }
  std::vector<RecordId>().swap(run_);
  return absl::OkStatus();
}

absl::Status IdSet::Merge() {
  std::vector<IdCursor> runs;
  uint64_t begin = 0;
  for (const uint64_t end : run_ends_) {
    runs.emplace_back(runs_, begin, end);
    begin = end;
  }
  std::vector<Head> heads;
  for (IdCursor& run : runs) {
    EMBER_ASSIGN_OR_RETURN(const absl::string_view id, run.Next());
    if (!id.empty()) heads.push_back({.id = id, .run = &run});
  }
  std::make_heap(heads.begin(), heads.end(), IsLater);
  std::string last;
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), IsLater);
    Head& head = heads.back();
    if (head.id != last) {
      last.assign(head.id.data(), head.id.size());
      EMBER_RETURN_IF_ERROR(sorted_.Append(last));
    }
    EMBER_ASSIGN_OR_RETURN(head.id, head.run->Next());
    if (head.id.empty()) {
      heads.pop_back();
    } else {
      std::push_heap(heads.begin(), heads.end(), IsLater);
    }
  }
  return absl::OkStatus();
}

absl::Status VisitMissing(const IdSet& wanted, const IdSet& had,
                          const std::function<absl::Status(const RecordId& id)>& visit) {
  IdCursor all = wanted.Begin();
  IdCursor there = had.Begin();
  EMBER_ASSIGN_OR_RETURN(absl::string_view next, there.Next());
  while (true) {
    EMBER_ASSIGN_OR_RETURN(const absl::string_view bytes, all.Next());
    if (bytes.empty()) return absl::OkStatus();
    while (!next.empty() && next < bytes) {
      EMBER_ASSIGN_OR_RETURN(next, there.Next());
    }
    if (next == bytes) continue;
    RecordId id;
    ParseRecordId(bytes, &id);
    EMBER_RETURN_IF_ERROR(visit(id));
  }
}

}  // namespace ember::backup
