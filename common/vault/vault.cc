// Why operations may run at the same time. Packs, reference sets and backup records are immutable
// once published, and the index only ever gains entries that point to durable packs, so most pairs
// need no lock.
//
// starting    | running | safe because
// Append      | Append  | other session: own packs; same session: Session::mu
// Append      | Commit  | same session: Session::mu; other: a commit looks at durable packs only
// Sync        | Sync    | ChunkIndex::AddPack is one at a time and keeps the intact copy of an id
// Have        | Sync    | "absent" may be out of date: the record comes twice, one copy is read
// Commit      | Commit  | same domain: one at a time (hash chain); VaultState numbers durably
// OpenSession | Append  | of the older session: superseded, then its Session::mu is taken once,
//             | Commit  | so that nothing of it is published after the new session's reply
// Read        | any     | reads immutable objects; what is found damaged is "absent" from then on
// Have        | Read    | "present", then found damaged: the commit looks again and asks for it
//
// Lock order: Session::mu, then StoredBackups::Domain::mu, then any other; mu_ is never held while
// another is taken or during I/O.
#include "common/vault/vault.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/index_recovery.h"
#include "common/vault/pack.h"
#include "common/vault/record_reader.h"
#include "common/vault/request_check.h"
#include "common/vault/session.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault_header.h"
#include "common/vault/vault_state.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

using format::v1::StoredBackupRecord;

absl::Status SessionOver() {
  return WithHint(
      absl::AbortedError("the session is over: a newer one was opened, or the vault was restarted"),
      "run the backup again; what was stored is not sent twice");
}

v1::StoredBackup ToWire(const StoredBackupRecord& record) {
  v1::StoredBackup backup;
  backup.set_backup_id(record.backup_id());
  backup.set_domain_id(record.domain_id());
  backup.set_workload(record.workload());
  backup.set_sequence(record.sequence());
  *backup.mutable_received() = record.received();
  backup.set_session_id(record.session_id());
  backup.set_manifest_root(record.manifest_root());
  backup.set_sealed_summary(record.sealed_summary());
  backup.set_summary_nonce(record.summary_nonce());
  backup.set_ids_total(record.ids_total());
  return backup;
}

v1::CommitReply ToReply(const StoredBackupRecord& record) {
  v1::CommitReply reply;
  reply.set_sequence(record.sequence());
  *reply.mutable_received() = record.received();
  reply.set_added_bytes(record.added_bytes());
  return reply;
}

class VaultImpl : public Vault {
 public:
  explicit VaultImpl(const VaultOptions& options) : name_(options.name), clock_(*options.clock) {}

  absl::Status Load(const VaultOptions& options);
  absl::StatusOr<v1::OpenSessionReply> OpenSession(const std::string& node,
                                                   const v1::OpenSessionRequest& request) override;
  absl::StatusOr<v1::HaveReply> Have(const std::string& node,
                                     const v1::HaveRequest& request) override;
  absl::Status Append(const std::string& node, const v1::UploadRequest& request) override;
  absl::StatusOr<int64_t> Sync(const std::string& session_id) override;
  absl::StatusOr<v1::CommitReply> Commit(const std::string& node, const std::string& session_id,
                                         uint64_t token, const v1::CommitHeader& header,
                                         const std::vector<std::string>& ids) override;
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override;
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override;
  absl::Status Read(const v1::ReadRequest& request, const ReadSink& sink) override;
  absl::Status ReadRefs(const std::string& backup_id,
                        const std::function<absl::Status(absl::string_view ids)>& sink) override;
  absl::StatusOr<v1::VaultResult> Run(const v1::VaultOrder& order,
                                      const JobContext& context) override;
  v1::VaultFact Facts() override;

 private:
  // ABORTED when over, PERMISSION_DENIED when another node's.
  absl::StatusOr<std::shared_ptr<Session>> FindSession(const std::string& node,
                                                       const std::string& session_id,
                                                       uint64_t token);
  absl::Status CheckUnused(const std::string& node, const v1::OpenSessionRequest& request);
  // Makes `session` the workload's current one. Returns the one that it replaces, if any.
  absl::StatusOr<std::shared_ptr<Session>> Register(const std::shared_ptr<Session>& session);
  // Calls `visit(i, present, session number)` for each id: is it stored, intact as far as known,
  // and the domain's?
  template <typename Visit>
  absl::Status CheckPresent(const std::vector<absl::string_view>& ids, const std::string& domain_id,
                            const Visit& visit);
  absl::StatusOr<bool> IsComplete(const std::string& backup_id, const std::string& domain_id);
  absl::StatusOr<bool> HasCompleteBackup(const std::string& domain_id,
                                         const std::string& manifest_root);
  absl::StatusOr<v1::CommitReply> CommitSession(Session& session, const v1::CommitHeader& header,
                                                const std::vector<std::string>& ids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(session.mu);
  absl::StatusOr<v1::CommitReply> RepeatCommit(const std::string& backup_id,
                                               const v1::CommitHeader& header);
  // Remembers for Facts why the last write failed; returns `status`.
  absl::Status NoteWrite(const absl::Status& status);

  const std::string name_;
  Clock& clock_;
  Fd lock_;
  std::shared_ptr<ObjectStore> store_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<DamagedIds> damaged_;
  std::unique_ptr<ChunkIndex> index_;
  int unreadable_packs_ = 0;
  std::unique_ptr<StoredBackups> backups_;

  absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<Session>> sessions_
      ABSL_GUARDED_BY(mu_);                                          // by session id, current ones
  std::map<std::string, std::string> current_ ABSL_GUARDED_BY(mu_);  // workload to session id
  // Backups whose ids were all found present, and the generation of damaged_ at that time.
  std::map<std::string, uint64_t> complete_ ABSL_GUARDED_BY(mu_);
  std::string problem_ ABSL_GUARDED_BY(mu_);
};

absl::Status VaultImpl::Load(const VaultOptions& options) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(options.directory));
  EMBER_ASSIGN_OR_RETURN(lock_, LockFile(JoinPath(options.directory, "LOCK")));
  store_ = options.store;
  if (store_ == nullptr) {
    EMBER_ASSIGN_OR_RETURN(store_, OpenDirectoryStore(options.directory));
  }
  EMBER_ASSIGN_OR_RETURN(const std::string vault_id, ReadOrMakeHeader(*store_, clock_));
  const std::string state = JoinPath(options.directory, "state");
  EMBER_ASSIGN_OR_RETURN(state_, VaultState::Open(state));
  EMBER_ASSIGN_OR_RETURN(damaged_, DamagedIds::Open(JoinPath(state, "damaged")));
  EMBER_ASSIGN_OR_RETURN(backups_, StoredBackups::Load(*store_, *state_));
  const std::string index = options.index_directory.empty() ? JoinPath(options.directory, "index")
                                                            : options.index_directory;
  EMBER_ASSIGN_OR_RETURN(RecoveredIndex recovered, OpenIndex(*store_, index, vault_id));
  index_ = std::move(recovered.index);
  unreadable_packs_ = recovered.unreadable_packs;
  return absl::OkStatus();
}

absl::Status VaultImpl::NoteWrite(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsDataLoss(status)) {
    problem_ = std::string(status.message());
  }
  return status;
}

absl::StatusOr<std::shared_ptr<Session>> VaultImpl::FindSession(const std::string& node,
                                                                const std::string& session_id,
                                                                uint64_t token) {
  absl::MutexLock lock(&mu_);
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return SessionOver();
  const SessionFacts& facts = found->second->facts();
  if (facts.node != node) return PeerRefused(node, "the backup session belongs to another node");
  if (facts.token != token) return SessionOver();
  return found->second;
}

absl::Status VaultImpl::CheckUnused(const std::string& node,
                                    const v1::OpenSessionRequest& request) {
  const auto taken = [](absl::string_view what) { return absl::AlreadyExistsError(what); };
  const auto backup = backups_->Find(request.backup_id());
  if (backup && backup->session_id != request.session_id()) {
    return taken(absl::StrCat("backup ", request.backup_id(), " exists and is never overwritten"));
  }
  const auto committed = backups_->FindBySession(request.session_id());
  if (committed && *committed != request.backup_id())
    return taken("the session has made another backup");
  // Records name their session, and a session has one key: another keybox would lock out whoever
  // restores them.
  const auto stored = index_->FindSession(request.session_id());
  const bool same_stored =
      !stored || stored->keybox().empty() ||
      (stored->keybox() == request.keybox() && stored->domain_id() == request.domain_id());
  if (!same_stored) return taken("the session id is in use with another key");
  absl::MutexLock lock(&mu_);
  const auto open = sessions_.find(request.session_id());
  if (open == sessions_.end()) return absl::OkStatus();
  const SessionFacts& facts = open->second->facts();
  if (facts.node != node) return PeerRefused(node, "the backup session belongs to another node");
  const bool same = facts.workload == request.workload() &&
                    facts.backup_id == request.backup_id() &&
                    facts.domain_id == request.domain_id() && facts.keybox == request.keybox();
  return same ? absl::OkStatus() : taken("the session id is in use for another backup");
}

absl::StatusOr<std::shared_ptr<Session>> VaultImpl::Register(
    const std::shared_ptr<Session>& session) {
  const SessionFacts& facts = session->facts();
  absl::MutexLock lock(&mu_);
  const auto same_id = sessions_.find(facts.session_id);
  if (same_id != sessions_.end() && same_id->second->facts().workload != facts.workload) {
    return absl::AlreadyExistsError("the session id is in use for another backup");
  }
  if (!current_.contains(facts.workload) && current_.size() >= kWorkloadsMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kWorkloadsMax, " workloads back up to this vault"));
  }
  std::shared_ptr<Session> older;
  std::string& current = current_[facts.workload];
  if (const auto open = sessions_.find(current); open != sessions_.end()) {
    if (open->second->facts().token > facts.token)
      return SessionOver();  // two opened at once, the other was later
    older = open->second;
    older->Supersede();
    sessions_.erase(open);
  }
  current = facts.session_id;
  sessions_[current] = session;
  return older;
}

absl::StatusOr<v1::OpenSessionReply> VaultImpl::OpenSession(const std::string& node,
                                                            const v1::OpenSessionRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckOpenSession(request));
  EMBER_RETURN_IF_ERROR(CheckUnused(node, request));
  auto token = state_->NextToken(request.workload(), request.epoch());
  if (!token.ok()) return NoteWrite(token.status());
  SessionFacts facts{.node = node,
                     .workload = request.workload(),
                     .domain_id = request.domain_id(),
                     .backup_id = request.backup_id(),
                     .session_id = request.session_id(),
                     .keybox = request.keybox(),
                     .token = *token};
  EMBER_ASSIGN_OR_RETURN(
      const std::shared_ptr<Session> older,
      Register(std::make_shared<Session>(std::move(facts), *store_, *index_, *damaged_)));
  if (older != nullptr) absl::MutexLock wait_for_call_in_progress(&older->mu);
  v1::OpenSessionReply reply;
  reply.set_token(*token);
  reply.set_domain_empty(!index_->HasDomain(request.domain_id()));
  EMBER_ASSIGN_OR_RETURN(const bool parent_present,
                         HasCompleteBackup(request.domain_id(), request.parent_root()));
  reply.set_parent_present(parent_present);
  return reply;
}

template <typename Visit>
absl::Status VaultImpl::CheckPresent(const std::vector<absl::string_view>& ids,
                                     const std::string& domain_id, const Visit& visit) {
  std::map<uint32_t, bool> in_domain;  // by session number
  std::vector<absl::string_view> batch;
  for (size_t begin = 0; begin < ids.size(); begin += kIndexLookupBatch) {
    const size_t end = std::min(ids.size(), begin + kIndexLookupBatch);
    batch.assign(ids.begin() + begin, ids.begin() + end);
    EMBER_ASSIGN_OR_RETURN(const auto found, index_->Find(batch));
    for (size_t i = begin; i < end; ++i) {
      const auto& location = found[i - begin];
      if (!location) {
        visit(i, false, 0);
        continue;
      }
      const auto [row, is_new] = in_domain.try_emplace(location->session, false);
      if (is_new) row->second = index_->SessionOf(location->session).domain_id() == domain_id;
      visit(i, row->second && !damaged_->Contains(ids[i]), location->session);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> VaultImpl::IsComplete(const std::string& backup_id,
                                           const std::string& domain_id) {
  const uint64_t generation = damaged_->generation();
  {
    absl::MutexLock lock(&mu_);
    const auto known = complete_.find(backup_id);
    if (known != complete_.end() && known->second == generation) return true;
  }
  const auto refs = backups_->ReadRefs(backup_id);
  if (absl::IsDataLoss(refs.status())) return false;  // the client then asks about each id
  EMBER_RETURN_IF_ERROR(refs.status());
  std::vector<absl::string_view> ids;
  for (size_t at = 0; at < refs->size(); at += kRecordIdBytes) {
    ids.push_back(absl::string_view(*refs).substr(at, kRecordIdBytes));
  }
  bool complete = true;
  EMBER_RETURN_IF_ERROR(CheckPresent(
      ids, domain_id, [&](size_t, bool present, uint32_t) { complete = complete && present; }));
  absl::MutexLock lock(&mu_);
  if (complete) complete_[backup_id] = generation;
  return complete;
}

absl::StatusOr<bool> VaultImpl::HasCompleteBackup(const std::string& domain_id,
                                                  const std::string& manifest_root) {
  if (manifest_root.empty()) return false;
  for (const std::string& backup_id : backups_->FindByRoot(domain_id, manifest_root)) {
    EMBER_ASSIGN_OR_RETURN(const bool complete, IsComplete(backup_id, domain_id));
    if (complete) return true;
  }
  return false;
}

absl::StatusOr<v1::HaveReply> VaultImpl::Have(const std::string& node,
                                              const v1::HaveRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckHave(request));
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         FindSession(node, request.session_id(), request.token()));
  const std::vector<absl::string_view> ids(request.ids().begin(), request.ids().end());
  v1::HaveReply reply;
  std::string& absent = *reply.mutable_absent();
  absent.assign(ids.size(), '\0');
  EMBER_RETURN_IF_ERROR(
      CheckPresent(ids, session->facts().domain_id,
                   [&](size_t i, bool present, uint32_t) { absent[i] = present ? 0 : 1; }));
  return reply;
}

absl::Status VaultImpl::Append(const std::string& node, const v1::UploadRequest& request) {
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         FindSession(node, request.session_id(), request.token()));
  absl::MutexLock lock(&session->mu);
  return NoteWrite(session->Append(request));
}

absl::StatusOr<int64_t> VaultImpl::Sync(const std::string& session_id) {
  std::shared_ptr<Session> session;
  {
    absl::MutexLock lock(&mu_);
    const auto found = sessions_.find(session_id);
    if (found == sessions_.end()) return SessionOver();
    session = found->second;
  }
  absl::MutexLock lock(&session->mu);
  EMBER_RETURN_IF_ERROR(NoteWrite(session->Sync()));
  return session->stored_bytes();
}

absl::StatusOr<v1::CommitReply> VaultImpl::RepeatCommit(const std::string& backup_id,
                                                        const v1::CommitHeader& header) {
  EMBER_ASSIGN_OR_RETURN(const StoredBackupRecord record, backups_->Get(backup_id));
  if (record.manifest_root() != header.manifest_root() ||
      record.ids_total() != header.ids_total()) {
    return absl::AlreadyExistsError(
        absl::StrCat("backup ", backup_id, " exists and is never overwritten"));
  }
  return ToReply(record);
}

absl::StatusOr<v1::CommitReply> VaultImpl::Commit(const std::string& node,
                                                  const std::string& session_id, uint64_t token,
                                                  const v1::CommitHeader& header,
                                                  const std::vector<std::string>& ids) {
  EMBER_RETURN_IF_ERROR(CheckCommit(header, ids));
  // The reply of a commit may have been lost, and the session may be over by now, or the vault
  // restarted.
  if (const auto done = backups_->FindBySession(session_id)) return RepeatCommit(*done, header);
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         FindSession(node, session_id, token));
  absl::MutexLock lock(&session->mu);
  if (const auto done = backups_->FindBySession(session_id)) return RepeatCommit(*done, header);
  auto reply = CommitSession(*session, header, ids);
  NoteWrite(reply.status()).IgnoreError();
  if (reply.ok()) {
    absl::MutexLock problem_lock(&mu_);
    problem_.clear();
  }
  return reply;
}

absl::StatusOr<v1::CommitReply> VaultImpl::CommitSession(Session& session,
                                                         const v1::CommitHeader& header,
                                                         const std::vector<std::string>& ids) {
  const SessionFacts& facts = session.facts();
  EMBER_RETURN_IF_ERROR(session.Sync());
  const uint64_t generation = damaged_->generation();
  v1::CommitReply reply;
  std::set<uint32_t> sessions;
  EMBER_RETURN_IF_ERROR(CheckPresent(std::vector<absl::string_view>(ids.begin(), ids.end()),
                                     facts.domain_id, [&](size_t i, bool present, uint32_t number) {
                                       if (present) {
                                         sessions.insert(number);
                                       } else if (reply.need_size() <
                                                  static_cast<int>(kNeedIdsMax)) {
                                         reply.add_need(ids[i]);
                                       }
                                     }));
  if (reply.need_size() > 0) return reply;
  StoredBackupRecord record;
  record.set_backup_id(facts.backup_id);
  record.set_domain_id(facts.domain_id);
  record.set_workload(facts.workload);
  record.set_session_id(facts.session_id);
  record.set_keybox(facts.keybox);
  record.set_manifest_root(header.manifest_root());
  record.set_sealed_summary(header.sealed_summary());
  record.set_summary_nonce(header.summary_nonce());
  record.set_added_bytes(session.stored_bytes());
  for (const uint32_t number : sessions)
    record.add_sessions(index_->SessionOf(number).session_id());
  EMBER_RETURN_IF_ERROR(session.CheckCurrent());
  EMBER_ASSIGN_OR_RETURN(record, backups_->Publish(std::move(record), ids, clock_));
  absl::MutexLock lock(&mu_);
  complete_[facts.backup_id] = generation;
  return ToReply(record);
}

absl::StatusOr<v1::StoredBackup> VaultImpl::GetBackup(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const StoredBackupRecord record, backups_->Get(backup_id));
  v1::StoredBackup backup = ToWire(record);
  std::map<std::string, std::string> keyboxes = {{record.session_id(), record.keybox()}};
  for (const std::string& session_id : record.sessions()) {
    const auto session = index_->FindSession(session_id);
    if (session && !session->keybox().empty()) keyboxes[session_id] = session->keybox();
  }
  for (const auto& [session_id, sealed] : keyboxes) {
    v1::Keybox* keybox = backup.add_keyboxes();
    keybox->set_session_id(session_id);
    keybox->set_sealed(sealed);
  }
  return backup;
}

absl::StatusOr<v1::ListStoredBackupsReply> VaultImpl::ListBackups(const std::string& workload) {
  if (!workload.empty()) EMBER_RETURN_IF_ERROR(ValidateName("workload", workload));
  v1::ListStoredBackupsReply reply;
  for (const StoredBackupRecord& record : backups_->List(workload))
    *reply.add_items() = ToWire(record);
  return reply;
}

absl::Status VaultImpl::Read(const v1::ReadRequest& request, const ReadSink& sink) {
  EMBER_RETURN_IF_ERROR(CheckRead(request));
  RecordReader reader(*store_, *index_, *damaged_, sink);
  if (!request.only_session().empty()) return reader.ReadSession(request.only_session());
  return reader.ReadIds({request.ids().begin(), request.ids().end()});
}

absl::Status VaultImpl::ReadRefs(const std::string& backup_id,
                                 const std::function<absl::Status(absl::string_view ids)>& sink) {
  EMBER_ASSIGN_OR_RETURN(const std::string refs, backups_->ReadRefs(backup_id));
  constexpr size_t kPieceBytes = kCommitIdsPerMessage * kRecordIdBytes;
  for (size_t at = 0; at < refs.size(); at += kPieceBytes) {
    EMBER_RETURN_IF_ERROR(sink(absl::string_view(refs).substr(at, kPieceBytes)));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::VaultResult> VaultImpl::Run(const v1::VaultOrder& order, const JobContext&) {
  switch (order.job_case()) {
    case v1::VaultOrder::kDelete:
    case v1::VaultOrder::kUndelete:
    case v1::VaultOrder::kGc:
    case v1::VaultOrder::kCheck:
    case v1::VaultOrder::kRebuildIndex:
    case v1::VaultOrder::kReplicate:
    case v1::VaultOrder::JOB_NOT_SET: break;
  }
  return absl::UnimplementedError("this vault does not know the job");
}

v1::VaultFact VaultImpl::Facts() {
  v1::VaultFact fact;
  fact.set_vault(name_);
  fact.set_backups(backups_->size());
  const auto space = store_->GetSpace();
  if (space.ok()) {
    fact.set_free_bytes(space->free_bytes);
    fact.set_used_bytes(space->used_bytes);
  }
  std::string problem;
  {
    absl::MutexLock lock(&mu_);
    problem = problem_;
  }
  if (!space.ok()) {
    problem = std::string(space.status().message());
  } else if (space->free_bytes < kVaultReserveBytes) {
    problem = "disk full: backups are refused until there is room";
  } else if (index_->damaged()) {
    problem = "the index is damaged: it is made anew when the vault's agent is restarted";
  } else if (problem.empty() && backups_->damaged() > 0) {
    problem = absl::StrCat(backups_->damaged(), " stored backups are damaged");
  } else if (problem.empty() && unreadable_packs_ > 0) {
    problem = absl::StrCat(unreadable_packs_, " packs cannot be read");
  }
  fact.set_problem(problem);
  return fact;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Vault>> Vault::Open(const VaultOptions& options) {
  auto vault = std::make_unique<VaultImpl>(options);
  if (absl::Status status = vault->Load(options); !status.ok()) {
    return Annotate(status, absl::StrCat("vault '", options.name, "'"));
  }
  return vault;
}

}  // namespace ember::vault
