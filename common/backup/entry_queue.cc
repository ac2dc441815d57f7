#include "common/backup/entry_queue.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace ember::backup {

EntryQueue::EntryQueue(absl::string_view cut_key, UploadPipeline* pipeline,
                       std::unique_ptr<EntryCacheWriter> cache, std::string scratch_directory)
    : pipeline_(pipeline),
      cache_(std::move(cache)),
      builder_(cut_key, [this](RecordType::Value type,
                               std::string bytes) { return Store(type, std::move(bytes)); }),
      references_(std::move(scratch_directory)) {}

absl::Status EntryQueue::Push(PendingEntry pending) {
  pending_extents_ += pending.slots();
  pending_.push_back(std::move(pending));
  EMBER_RETURN_IF_ERROR(EmitResolved());
  while (pending_.size() > 2 * kPendingEntriesMax || pending_extents_ > 2 * kPendingExtentsMax) {
    EMBER_RETURN_IF_ERROR(WaitForFront());
  }
  return absl::OkStatus();
}

absl::Status EntryQueue::PushCached(const CachedEntry& cached) {
  if (pending_.empty()) return Emit(cached.entry(), cached.encoded, &cached.stamp);
  return Push({.entry = cached.entry(), .stamp = cached.stamp, .cacheable = true});
}

absl::Status EntryQueue::WaitForFront() {
  EMBER_RETURN_IF_ERROR(pipeline_->WaitUntil([this] { return pending_.front().resolved(); }));
  return EmitResolved();
}

absl::Status EntryQueue::EmitResolved() {
  while (!pending_.empty() && pending_.front().resolved()) EMBER_RETURN_IF_ERROR(EmitFront());
  return absl::OkStatus();
}

absl::Status EntryQueue::EmitFront() {
  PendingEntry front = std::move(pending_.front());
  pending_.pop_front();
  pending_extents_ -= front.slots();
  const SourceStamp stamp = std::move(front.stamp);
  const SourceStamp* to_cache = front.cacheable ? &stamp : nullptr;
  return EmitParts(std::move(front), [&](const format::v1::Entry& part) {
    return Emit(part, EncodeInLeaf(part), to_cache);
  });
}

absl::Status EntryQueue::Emit(const format::v1::Entry& entry, absl::string_view encoded,
                              const SourceStamp* stamp) {
  for (const format::v1::Extent& extent : entry.extents()) {
    RecordId id;
    ParseRecordId(extent.id(), &id);
    EMBER_RETURN_IF_ERROR(Refer(id));
  }
  // A cache that cannot be written costs the next backup time, not this one its success.
  if (stamp != nullptr && cache_ != nullptr && !cache_->Add(*stamp, entry, encoded).ok())
    cache_ = nullptr;
  return builder_.Add(entry, encoded);
}

absl::StatusOr<RecordId> EntryQueue::Finish() {
  while (!pending_.empty()) EMBER_RETURN_IF_ERROR(WaitForFront());
  return builder_.Finish();
}

absl::StatusOr<RecordId> EntryQueue::Store(RecordType::Value type, std::string bytes) {
  EMBER_ASSIGN_OR_RETURN(const RecordId id, pipeline_->SubmitForId(type, std::move(bytes)));
  EMBER_RETURN_IF_ERROR(Refer(id));
  return id;
}

absl::Status EntryQueue::Refer(const RecordId& id) {
  // The files of a group come one after the other.
  if (id == std::exchange(last_reference_, id)) return absl::OkStatus();
  return references_.Add(id);
}

absl::StatusOr<const IdSet*> EntryQueue::SortReferences() {
  EMBER_RETURN_IF_ERROR(references_.Sort());
  if (cache_ != nullptr && !cache_->AddIds(references_).ok()) cache_ = nullptr;
  return &references_;
}

void EntryQueue::PublishCache(const EntryCacheHeader& header) {
  if (cache_ == nullptr) return;
  const absl::Status status = cache_->Publish(header);
  if (!status.ok()) {
    LogWarning("backup", "the next backup may read more", {{"why", status.message()}});
  }
}

}  // namespace ember::backup
