#include "common/vault/copy_records.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/request_check.h"
#include "common/vault/take_pack.h"

namespace ember::vault {

std::vector<format::v1::PackSession> SessionsOf(const v1::StoredBackup& backup) {
  std::vector<format::v1::PackSession> sessions;
  for (const v1::Keybox& keybox : backup.keyboxes()) {
    format::v1::PackSession& session = sessions.emplace_back();
    session.set_session_id(keybox.session_id());
    session.set_keybox(keybox.sealed());
    session.set_domain_id(backup.domain_id());
  }
  return sessions;
}

bool FitsKnownSession(ChunkIndex& index, const format::v1::PackSession& session) {
  const auto known = index.FindSession(session.session_id());
  return !known || known->keybox().empty() ||
         (known->keybox() == session.keybox() && known->domain_id() == session.domain_id());
}

RecordCopier::RecordCopier(const CopyParts& parts, ReplicaSource& from,
                           std::vector<format::v1::PackSession> sessions,
                           std::function<absl::Status(int64_t bytes)> came)
    : parts_(parts), from_(from), sessions_(std::move(sessions)), came_(std::move(came)) {
  for (const format::v1::PackSession& session : sessions_)
    session_ids_.insert(session.session_id());
}

absl::Status RecordCopier::Copy(const std::vector<std::string>& ids) {
  if (sessions_.empty()) {
    missing_ += static_cast<int64_t>(ids.size());
    return absl::OkStatus();
  }
  for (size_t begin = 0; begin < ids.size(); begin += kReplicaBatchIds) {
    const size_t end = std::min(ids.size(), begin + kReplicaBatchIds);
    EMBER_RETURN_IF_ERROR(CopyBatch({ids.begin() + begin, ids.begin() + end}));
  }
  return absl::OkStatus();
}

absl::Status RecordCopier::CopyBatch(const std::vector<std::string>& ids) {
  EMBER_ASSIGN_OR_RETURN(
      const std::vector<bool> of_another,
      AreOfAnotherDomain(parts_.index, {ids.begin(), ids.end()}, sessions_.front().domain_id()));
  std::set<std::string> wanted;
  v1::ReadRequest request;
  for (size_t i = 0; i < ids.size(); ++i) {
    missing_ += of_another[i] ? 1 : 0;
    if (of_another[i]) continue;
    wanted.insert(ids[i]);
    request.add_ids(ids[i]);
  }
  if (wanted.empty()) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(from_.Read(request, [&](v1::ReadReply&& reply) -> absl::Status {
    for (const v1::Record& record : reply.records()) {
      // What nobody asked for, or comes twice, is not stored.
      if (!IsWelcome(record) || wanted.erase(record.id()) == 0) continue;
      EMBER_RETURN_IF_ERROR(Take(record));
    }
    return absl::OkStatus();
  }));
  missing_ += static_cast<int64_t>(wanted.size());
  return absl::OkStatus();
}

bool RecordCopier::IsWelcome(const v1::Record& record) const {
  return CheckRecord(record).ok() && session_ids_.contains(record.session_id());
}

absl::Status RecordCopier::Take(const v1::Record& record) {
  const int64_t bytes = static_cast<int64_t>(kRecordHeaderBytes + record.payload().size());
  EMBER_ASSIGN_OR_RETURN(const ObjectStore::Space space, parts_.store.GetSpace());
  if (space.free_bytes - bytes < kVaultReserveBytes) return DiskFull("vault");
  if (pack_ == nullptr) {
    EMBER_ASSIGN_OR_RETURN(pack_, PackWriter::Create(parts_.store, sessions_, parts_.parity));
  }
  const absl::Status appended = pack_->Append({.type = record.type(),
                                               .id = record.id(),
                                               .session_id = record.session_id(),
                                               .nonce = record.nonce(),
                                               .payload = record.payload()});
  // A pack that could not be written to is lost as a whole.
  if (!appended.ok()) pack_ = nullptr;
  EMBER_RETURN_IF_ERROR(appended);
  ++copied_;
  EMBER_RETURN_IF_ERROR(came_(bytes));
  return pack_->IsFull() ? Finish() : absl::OkStatus();
}

absl::Status RecordCopier::Finish() {
  if (pack_ == nullptr) return absl::OkStatus();
  const std::unique_ptr<PackWriter> full = std::move(pack_);
  return TakePack(*full, parts_.store, parts_.index, parts_.trash, parts_.damaged).status();
}

}  // namespace ember::vault
