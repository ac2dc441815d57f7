#include "common/backup/record_window.h"

#include <algorithm>
#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

// While one reply streams in, the next request is already on its way.
constexpr int kFetchers = 2;
// Replies waiting to be opened.
constexpr size_t kRepliesMax = 4;
constexpr absl::Duration kCancelPoll = absl::Milliseconds(50);

}  // namespace

RecordWindow::RecordWindow(VaultPort* vault, const RecordOpener* opener, int threads,
                           const std::atomic<bool>* cancelled)
    : vault_(vault),
      opener_(opener),
      cancelled_(cancelled),
      openers_(std::make_unique<WorkerPool>(std::max(1, threads), kRepliesMax)) {
  for (int i = 0; i < kFetchers; ++i) fetchers_.emplace_back([this] { FetchLoop(); });
}

RecordWindow::~RecordWindow() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    fetch_cv_.SignalAll();
  }
  for (std::thread& fetcher : fetchers_) fetcher.join();
}

void RecordWindow::Want(const RecordId& id) {
  absl::MutexLock lock(&mu_);
  std::unique_ptr<Slot>& slot = slots_[id];
  if (slot == nullptr) {
    slot = std::make_unique<Slot>();
    to_fetch_.push_back(id);
    fetch_cv_.Signal();
  } else if (slot->wanted == 0) {
    released_bytes_ -= slot->bytes.size();
    released_.erase(std::find(released_.begin(), released_.end(), id));
  }
  ++slot->wanted;
}

absl::StatusOr<absl::string_view> RecordWindow::Wait(const RecordId& id) {
  absl::MutexLock lock(&mu_);
  const Slot& slot = *slots_.at(id);
  while (!slot.done) {
    if (cancelled_ != nullptr && cancelled_->load())
      return absl::CancelledError("it was cancelled");
    done_cv_.WaitWithTimeout(&mu_, kCancelPoll);
  }
  EMBER_RETURN_IF_ERROR(slot.status);
  return absl::string_view(slot.bytes);
}

void RecordWindow::Release(const RecordId& id) {
  absl::MutexLock lock(&mu_);
  Slot& slot = *slots_.at(id);
  if (--slot.wanted > 0) return;
  released_.push_back(id);
  released_bytes_ += slot.bytes.size();
  ForgetOld();
}

// Records still being fetched stay: their reply finds them.
void RecordWindow::ForgetOld() {
  while (!released_.empty() &&
         (released_bytes_ > kRestoreRecentBytes || released_.size() > kRestoreBatchIds)) {
    const auto oldest = slots_.find(released_.front());
    if (!oldest->second->done) return;
    released_bytes_ -= oldest->second->bytes.size();
    slots_.erase(oldest);
    released_.pop_front();
  }
}

void RecordWindow::FetchLoop() {
  mu_.Lock();
  while (true) {
    while (!stopping_ && to_fetch_.empty()) fetch_cv_.Wait(&mu_);
    if (stopping_) break;
    std::vector<RecordId> ids;
    v1::ReadRequest request;
    while (!to_fetch_.empty() && ids.size() < kRestoreBatchIds) {
      ids.push_back(to_fetch_.front());
      request.add_ids(ids.back().data(), ids.back().size());
      to_fetch_.pop_front();
    }
    mu_.Unlock();
    absl::flat_hash_set<RecordId> answered;
    absl::Status read = vault_->Read(std::move(request), [&](v1::ReadReply&& reply) {
      return Receive(std::move(reply), &answered);
    });
    if (read.ok()) read = absl::DataLossError("a record is not in the vault");
    for (const RecordId& id : ids) {
      if (!answered.contains(id)) Resolve(id, read);
    }
    mu_.Lock();
  }
  mu_.Unlock();
}

absl::Status RecordWindow::Receive(v1::ReadReply&& reply, absl::flat_hash_set<RecordId>* answered) {
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return absl::CancelledError("it was cancelled");
  }
  for (const v1::ReadProblem& problem : reply.problems()) {
    RecordId id;
    if (!ParseRecordId(problem.id(), &id)) continue;
    answered->insert(id);
    Resolve(id, StatusOfProblem(problem));
  }
  for (v1::Record& taken : *reply.mutable_records()) {
    RecordId id;
    if (!ParseRecordId(taken.id(), &id)) continue;
    answered->insert(id);
    auto record = std::make_shared<v1::Record>(std::move(taken));
    openers_->Submit([this, id, record] {
      absl::StatusOr<PlainRecord> plain = opener_->Open(*record);
      if (plain.ok() && plain->type != RecordType::DATA && plain->type != RecordType::GROUP) {
        plain = absl::DataLossError("a record is not content");
      }
      Resolve(id, std::move(plain));
    });
  }
  return absl::OkStatus();
}

// The first answer counts.
void RecordWindow::Resolve(const RecordId& id, absl::StatusOr<PlainRecord> record) {
  absl::MutexLock lock(&mu_);
  const auto at = slots_.find(id);
  if (at == slots_.end() || at->second->done) return;
  Slot& slot = *at->second;
  slot.done = true;
  slot.status = record.status();
  if (record.ok()) slot.bytes = std::move(record->bytes);
  if (slot.wanted == 0) released_bytes_ += slot.bytes.size();
  done_cv_.SignalAll();
}

}  // namespace ember::backup
