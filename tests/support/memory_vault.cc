#include "tests/support/memory_vault.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/backup/record.h"
#include "common/base/errors.h"
#include "common/base/id_filter.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::testing {

// A session's view of its vault.
class MemorySession : public backup::VaultSession {
 public:
  MemorySession(MemoryVault* vault, std::string session_id, uint64_t token, bool domain_empty,
                bool parent_present, std::optional<IdFilter> known)
      : vault_(vault),
        session_id_(std::move(session_id)),
        token_(token),
        domain_empty_(domain_empty),
        parent_present_(parent_present),
        known_(std::move(known)) {}

  bool domain_empty() const override { return domain_empty_; }
  bool parent_present() const override { return parent_present_; }
  const IdFilter* known() const override { return known_ ? &*known_ : nullptr; }

  absl::StatusOr<std::vector<bool>> Absent(const std::vector<std::string>& ids) override {
    absl::MutexLock lock(&vault_->mu_);
    EMBER_RETURN_IF_ERROR(vault_->Count(MemoryVault::Call::kAbsent));
    EMBER_RETURN_IF_ERROR(vault_->Find(session_id_, token_).status());
    if (ids.size() > kHaveBatchMax) return absl::InvalidArgumentError("too many ids");
    std::vector<bool> absent;
    for (const std::string& id : ids) absent.push_back(vault_->records_.count(id) == 0);
    return absent;
  }

  absl::Status Upload(v1::Record record) override {
    absl::MutexLock lock(&vault_->mu_);
    EMBER_RETURN_IF_ERROR(vault_->Count(MemoryVault::Call::kUpload));
    EMBER_ASSIGN_OR_RETURN(MemoryVault::Session * session, vault_->Find(session_id_, token_));
    if (record.id().size() != 32) return absl::InvalidArgumentError("an id has 32 bytes");
    record.set_session_id(session_id_);
    if (vault_->on_store_ && !vault_->on_store_(record)) return absl::OkStatus();
    const int64_t size = static_cast<int64_t>(record.payload().size());
    if (vault_->records_.emplace(record.id(), record).second) session->added_bytes += size;
    vault_->domains_.insert(session->domain_id);
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    absl::MutexLock lock(&vault_->mu_);
    EMBER_RETURN_IF_ERROR(vault_->Count(MemoryVault::Call::kFlush));
    return vault_->Find(session_id_, token_).status();
  }

  absl::StatusOr<v1::CommitReply> Commit(const v1::CommitHeader& header,
                                         const Pieces& pieces) override {
    std::vector<std::string> ids;
    EMBER_RETURN_IF_ERROR(pieces([&ids](absl::string_view joined) {
      for (; !joined.empty();
           joined.remove_prefix(std::min(joined.size(), sizeof(backup::RecordId))))
        ids.emplace_back(joined.substr(0, sizeof(backup::RecordId)));
      return absl::OkStatus();
    }));
    absl::MutexLock lock(&vault_->mu_);
    EMBER_RETURN_IF_ERROR(vault_->Count(MemoryVault::Call::kCommit));
    EMBER_ASSIGN_OR_RETURN(MemoryVault::Session * session, vault_->Find(session_id_, token_));
    if (session->committed) return session->reply;
    if (header.ids_total() != ids.size() ||
        std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) != ids.end()) {
      return absl::InvalidArgumentError("ids are not sorted and unique, or not all came");
    }
    v1::CommitReply reply;
    std::set<std::string> sessions{session_id_};
    for (const std::string& id : ids) {
      const auto at = vault_->records_.find(id);
      if (at == vault_->records_.end()) {
        reply.add_need(id);
      } else {
        sessions.insert(at->second.session_id());
      }
    }
    if (reply.need_size() > 0) return reply;
    v1::StoredBackup stored;
    stored.set_backup_id(session->backup_id);
    stored.set_domain_id(session->domain_id);
    stored.set_workload(session->workload);
    stored.set_sequence(vault_->backups_.size() + 1);
    stored.mutable_received()->set_seconds(1767225600 + static_cast<int64_t>(stored.sequence()));
    stored.set_session_id(session_id_);
    stored.set_manifest_root(header.manifest_root());
    stored.set_sealed_summary(header.sealed_summary());
    stored.set_summary_nonce(header.summary_nonce());
    stored.set_ids_total(ids.size());
    for (const std::string& id : sessions) {
      v1::Keybox* box = stored.add_keyboxes();
      box->set_session_id(id);
      box->set_sealed(vault_->sessions_[id].keybox);
    }
    reply.set_sequence(stored.sequence());
    *reply.mutable_received() = stored.received();
    reply.set_added_bytes(session->added_bytes);
    vault_->backups_.push_back(std::move(stored));
    session->committed = true;
    session->reply = reply;
    return reply;
  }

 private:
  MemoryVault* const vault_;
  const std::string session_id_;
  const uint64_t token_;
  const bool domain_empty_;
  const bool parent_present_;
  const std::optional<IdFilter> known_;
};

absl::Status MemoryVault::Count(Call call) {
  const int64_t count = calls_[call]++;
  const auto fault = faults_.find(call);
  return fault != faults_.end() && count >= fault->second.first ? fault->second.second
                                                                : absl::OkStatus();
}

absl::StatusOr<MemoryVault::Session*> MemoryVault::Find(const std::string& session_id,
                                                        uint64_t token) {
  const auto at = sessions_.find(session_id);
  if (at == sessions_.end()) return absl::NotFoundError("no such session");
  if (newest_token_[at->second.workload] != token)
    return absl::AbortedError("the session was superseded");
  return &at->second;
}

absl::StatusOr<std::unique_ptr<backup::VaultSession>> MemoryVault::OpenSession(
    v1::OpenSessionRequest request) {
  absl::MutexLock lock(&mu_);
  EMBER_RETURN_IF_ERROR(Count(Call::kOpenSession));
  uint64_t& epoch = highest_epoch_[request.workload()];
  if (request.epoch() < epoch) return absl::AbortedError("the placement epoch is too old");
  epoch = request.epoch();
  Session session;
  session.workload = request.workload();
  session.domain_id = request.domain_id();
  session.backup_id = request.backup_id();
  session.keybox = request.keybox();
  boxes_[request.domain_id()].insert(request.recovery_boxes().begin(),
                                     request.recovery_boxes().end());
  session.token = ++tokens_;
  newest_token_[request.workload()] = session.token;
  bool parent_present = false;
  for (const v1::StoredBackup& backup : backups_) {
    parent_present |= !request.parent_root().empty() &&
                      backup.manifest_root() == request.parent_root() &&
                      backup.domain_id() == request.domain_id();
  }
  const bool domain_empty = domains_.count(request.domain_id()) == 0;
  std::optional<IdFilter> known;
  if (!domain_empty && !parent_present) {
    known.emplace();
    for (const auto& [id, record] : records_) known->Add(id);
  }
  auto opened = std::make_unique<MemorySession>(this, request.session_id(), session.token,
                                                domain_empty, parent_present, std::move(known));
  sessions_[request.session_id()] = std::move(session);
  return opened;
}

absl::StatusOr<v1::StoredBackup> MemoryVault::GetBackup(const std::string& backup_id) {
  absl::MutexLock lock(&mu_);
  for (const v1::StoredBackup& backup : backups_) {
    if (backup.backup_id() != backup_id) continue;
    v1::StoredBackup answer = backup;
    for (const std::string& box : boxes_[backup.domain_id()]) answer.add_recovery_boxes(box);
    return answer;
  }
  return BackupNotFound(backup_id);
}

absl::StatusOr<v1::ListStoredBackupsReply> MemoryVault::ListBackups(const std::string& workload) {
  absl::MutexLock lock(&mu_);
  v1::ListStoredBackupsReply reply;
  for (const v1::StoredBackup& backup : backups_) {
    if (!workload.empty() && backup.workload() != workload) continue;
    *reply.add_items() = backup;
    reply.mutable_items(reply.items_size() - 1)->clear_keyboxes();
  }
  return reply;
}

absl::Status MemoryVault::Read(v1::ReadRequest request,
                               const std::function<absl::Status(v1::ReadReply&&)>& sink) {
  std::vector<v1::ReadReply> replies;
  {
    absl::MutexLock lock(&mu_);
    EMBER_RETURN_IF_ERROR(Count(Call::kRead));
    std::set<std::string> ids(request.ids().begin(), request.ids().end());
    if (!request.only_session().empty()) {
      for (const auto& [id, record] : records_) {
        if (record.session_id() == request.only_session()) ids.insert(id);
      }
    }
    size_t bytes = kUploadMessageBytes;
    for (const std::string& id : ids) {
      if (bytes >= kUploadMessageBytes) {
        replies.emplace_back();
        bytes = 0;
      }
      const auto at = records_.find(id);
      if (at != records_.end() && damaged_.count(id) == 0) {
        bytes += at->second.payload().size();
        *replies.back().add_records() = at->second;
        continue;
      }
      v1::ReadProblem* problem = replies.back().add_problems();
      problem->set_id(id);
      problem->set_absent(at == records_.end());
      problem->set_problem(at == records_.end() ? "absent" : "checksum does not match");
    }
  }
  for (v1::ReadReply& reply : replies) EMBER_RETURN_IF_ERROR(sink(std::move(reply)));
  return absl::OkStatus();
}

void MemoryVault::FailAfter(Call call, int times, absl::Status status) {
  absl::MutexLock lock(&mu_);
  faults_[call] = {calls_[call] + times, std::move(status)};
}

void MemoryVault::OnStore(std::function<bool(v1::Record&)> change) {
  absl::MutexLock lock(&mu_);
  on_store_ = std::move(change);
}

void MemoryVault::ChangeStored(const std::function<bool(v1::Record&)>& change) {
  absl::MutexLock lock(&mu_);
  for (auto at = records_.begin(); at != records_.end();) {
    at = change(at->second) ? std::next(at) : records_.erase(at);
  }
}

void MemoryVault::ReportDamaged(const std::string& id) {
  absl::MutexLock lock(&mu_);
  damaged_.insert(id);
}

int64_t MemoryVault::calls(Call call) const {
  absl::MutexLock lock(&mu_);
  const auto at = calls_.find(call);
  return at == calls_.end() ? 0 : at->second;
}

int64_t MemoryVault::records() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(records_.size());
}

int64_t MemoryVault::stored_bytes() const {
  absl::MutexLock lock(&mu_);
  int64_t bytes = 0;
  for (const auto& [id, record] : records_) bytes += static_cast<int64_t>(record.payload().size());
  return bytes;
}

}  // namespace ember::testing
