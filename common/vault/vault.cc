// Why operations may run at the same time; garbage collection is in docs/vault.md. Packs, reference
// sets and backup records are immutable once published, so most pairs need no lock.
//
// starting    | running | safe because
// Append      | Append  | other session: own packs; same session: Session::mu
// Append      | Commit  | same session: Session::mu; other: a commit looks at durable packs only
// Sync        | Sync    | ChunkIndex::AddPack is one at a time and keeps the intact copy of an id
// Have        | Sync    | "absent" may be out of date: the record comes twice, one copy is read
// Commit      | Commit  | same domain: one at a time (hash chain); VaultState numbers durably
// OpenSession | Append  | of the older session: superseded, then its Session::mu is taken once and
// its
//             | Commit  | packs waited for, so that nothing of it is published after the reply
// Read        | any     | reads immutable objects; what is found damaged is "absent" from then on
// Have        | Read    | "present", then found damaged: the commit looks again and asks for it
//
// Lock order: Session::mu, then StoredBackups::Domain::mu, then any other; mu_ is never held while
// another is taken or during I/O.
#include "common/vault/vault.h"

#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/synchronization/mutex.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/vault/catalog_exports.h"
#include "common/vault/check.h"
#include "common/vault/chunk_index.h"
#include "common/vault/commit_gate.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/deletion.h"
#include "common/vault/domain_boxes.h"
#include "common/vault/gc.h"
#include "common/vault/index_recovery.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"
#include "common/vault/presence.h"
#include "common/vault/reader_leases.h"
#include "common/vault/record_reader.h"
#include "common/vault/ref_set.h"
#include "common/vault/replication.h"
#include "common/vault/request_check.h"
#include "common/vault/session.h"
#include "common/vault/session_table.h"
#include "common/vault/stored_backups.h"
#include "common/vault/sweep.h"
#include "common/vault/vault_header.h"
#include "common/vault/vault_state.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

using format::v1::StoredBackupRecord;

PackParityMode ParityMode(const VaultRules& rules) {
  return rules.parity ? PackParityMode::kOn : PackParityMode::kOff;
}

// What the host of the vault signs (vault_service.cc).
std::string ReceiptOf(const StoredBackupRecord& record, const std::string& vault_id) {
  v1::Receipt receipt;
  receipt.set_vault_id(vault_id);
  receipt.set_backup_id(record.backup_id());
  receipt.set_domain_id(record.domain_id());
  receipt.set_workload(record.workload());
  receipt.set_sequence(record.sequence());
  *receipt.mutable_received() = record.received();
  receipt.set_manifest_root(record.manifest_root());
  if (record.has_retain_until()) *receipt.mutable_held_until() = record.retain_until();
  return receipt.SerializeAsString();
}

v1::CommitReply ToReply(const StoredBackupRecord& record, const std::string& vault_id) {
  v1::CommitReply reply;
  reply.set_sequence(record.sequence());
  *reply.mutable_received() = record.received();
  reply.set_added_bytes(record.added_bytes());
  reply.mutable_receipt()->set_statement(ReceiptOf(record, vault_id));
  return reply;
}

// For how long the controller wants the backup held; whose word it is was checked
// (vault_service.cc).
absl::Duration HoldOf(const v1::Signed& signed_grant) {
  v1::Grant grant;
  if (!grant.ParseFromString(signed_grant.statement())) return absl::ZeroDuration();
  return absl::Seconds(std::max<int64_t>(0, grant.hold_seconds()));
}

class VaultImpl : public Vault {
 public:
  explicit VaultImpl(const VaultOptions& options)
      : name_(options.name),
        directory_(options.directory),
        clock_(*options.clock),
        sessions_(clock_),
        rules_(options.rules) {}

  absl::Status Load(const VaultOptions& options);
  absl::StatusOr<v1::OpenSessionReply> OpenSession(const std::string& node,
                                                   const v1::OpenSessionRequest& request) override;
  absl::StatusOr<v1::HaveReply> Have(const std::string& node,
                                     const v1::HaveRequest& request) override;
  absl::Status Append(const std::string& node, const v1::UploadRequest& request) override;
  absl::StatusOr<int64_t> Sync(const std::string& session_id) override;
  absl::StatusOr<v1::CommitReply> Commit(const std::string& node, const std::string& session_id,
                                         uint64_t token, const v1::CommitHeader& header,
                                         const Pieces& ids) override;
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override;
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override;
  absl::Status Read(const v1::ReadRequest& request, const std::string& domain_id,
                    const ReadSink& sink) override;
  absl::Status ReadRefs(const std::string& backup_id, const PieceSink& sink) override {
    return backups_->ReadRefs(backup_id, sink);
  }
  absl::Status TakeCatalogExport(absl::string_view bytes) override {
    return NoteWrite(exports_->Take(bytes));
  }
  absl::StatusOr<v1::VaultResult> Run(const v1::VaultOrder& order,
                                      const JobContext& context) override;
  void SetRules(const VaultRules& rules) override;
  v1::VaultFact Facts() override;
  uint64_t sequence() override { return state_->sequence(); }

 private:
  absl::Status CheckUnused(const std::string& node, const v1::OpenSessionRequest& request);
  absl::StatusOr<v1::CommitReply> CommitSession(Session& session, const v1::CommitHeader& header,
                                                const NewRefSet& ids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(session.mu);
  // The numbers of the sessions whose copies of a backup's records are read now. They may be others
  // than those of its commit: of two copies of one id, a rebuild of the index or a repair may have
  // chosen the other.
  absl::StatusOr<std::set<uint32_t>> SessionsNow(const StoredBackupRecord& record);
  absl::StatusOr<v1::CommitReply> RepeatCommit(const std::string& backup_id,
                                               const v1::CommitHeader& header);
  // Jobs of which one runs at a time. UNAVAILABLE: another one does.
  absl::StatusOr<v1::VaultResult> RunMaintenance(const v1::VaultOrder& order,
                                                 const JobContext& context);
  // What is wrong, for a person; "" when nothing is.
  std::string FindProblem(const absl::StatusOr<ObjectStore::Space>& space);
  VaultRules Rules();
  // Remembers for Facts why the last write failed; returns `status`.
  absl::Status NoteWrite(const absl::Status& status);

  const std::string name_;
  const std::string directory_;
  Clock& clock_;
  Fd lock_;
  std::shared_ptr<ObjectStore> store_;
  std::string vault_id_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<CatalogExports> exports_;
  std::unique_ptr<DamagedIds> damaged_;
  std::unique_ptr<StoredBackups> backups_;
  std::unique_ptr<PackTrash> trash_;
  std::unique_ptr<ChunkIndex> index_;
  int unreadable_packs_ = 0;
  std::unique_ptr<Presence> presence_;
  std::unique_ptr<DeletionJobs> deletion_;
  SessionTable sessions_;  // after what sessions refer to: they go first
  ReaderLeases readers_;
  CommitGate gate_;
  absl::Mutex boxes_mu_;        // held while recovery boxes are written
  absl::Mutex maintenance_mu_;  // held while a job of RunMaintenance runs

  absl::Mutex mu_;
  std::string problem_ ABSL_GUARDED_BY(mu_);
  VaultRules rules_ ABSL_GUARDED_BY(mu_);
};

absl::Status VaultImpl::Load(const VaultOptions& options) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(options.directory));
  EMBER_ASSIGN_OR_RETURN(lock_, LockFile(JoinPath(options.directory, "LOCK")));
  store_ = options.store;
  if (store_ == nullptr) {
    EMBER_ASSIGN_OR_RETURN(store_, OpenDirectoryStore(options.directory));
  }
  EMBER_ASSIGN_OR_RETURN(vault_id_, ReadOrMakeHeader(*store_, clock_));
  const std::string state = JoinPath(options.directory, "state");
  EMBER_ASSIGN_OR_RETURN(state_, VaultState::Open(state));
  // The name of `state` too: a power cut must not take away what the first session was promised.
  EMBER_RETURN_IF_ERROR(SyncDirectory(options.directory));
  EMBER_ASSIGN_OR_RETURN(exports_, CatalogExports::Load(*store_));
  EMBER_ASSIGN_OR_RETURN(damaged_, DamagedIds::Open(JoinPath(state, "damaged")));
  EMBER_ASSIGN_OR_RETURN(backups_, StoredBackups::Load(*store_, *state_));
  EMBER_ASSIGN_OR_RETURN(trash_, PackTrash::Load(*store_, state_->TimeAt(clock_.Now())));
  const std::string index = options.index_directory.empty() ? JoinPath(options.directory, "index")
                                                            : options.index_directory;
  if (options.rebuild_index) EMBER_RETURN_IF_ERROR(ChunkIndex::Destroy(index));
  EMBER_ASSIGN_OR_RETURN(RecoveredIndex recovered,
                         OpenIndex(*store_, index, vault_id_, *state_, *trash_,
                                   [this] { return backups_->FirstUses(); }));
  index_ = std::move(recovered.index);
  unreadable_packs_ = recovered.unreadable_packs;
  presence_ = std::make_unique<Presence>(*index_, *damaged_, *backups_);
  deletion_ = std::make_unique<DeletionJobs>(*backups_, *state_, clock_);
  return absl::OkStatus();
}

void VaultImpl::SetRules(const VaultRules& rules) {
  absl::MutexLock lock(&mu_);
  rules_ = rules;
}

VaultRules VaultImpl::Rules() {
  absl::MutexLock lock(&mu_);
  return rules_;
}

absl::Status VaultImpl::NoteWrite(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsDataLoss(status)) {
    problem_ = std::string(status.message());
  }
  return status;
}

absl::Status VaultImpl::CheckUnused(const std::string& node,
                                    const v1::OpenSessionRequest& request) {
  const auto taken = [](absl::string_view what) { return absl::AlreadyExistsError(what); };
  const auto backup = backups_->Find(request.backup_id());
  if ((backup && backup->session_id != request.session_id()) ||
      backups_->FindPurged(request.backup_id())) {
    return taken(absl::StrCat("backup ", request.backup_id(), " exists and is never overwritten"));
  }
  if (backup && backup->domain_id != request.domain_id())
    return taken("the backup is another domain's");
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
  return sessions_.CheckUnused(node, request);
}

absl::StatusOr<v1::OpenSessionReply> VaultImpl::OpenSession(const std::string& node,
                                                            const v1::OpenSessionRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckOpenSession(request));
  EMBER_RETURN_IF_ERROR(CheckUnused(node, request));
  // Before anything of the domain can be acknowledged: without them nobody but the EM could read
  // it.
  {
    absl::MutexLock lock(&boxes_mu_);
    EMBER_RETURN_IF_ERROR(NoteWrite(
        PutDomainBoxes(*store_, request.domain_id(), request.estate_id(),
                       {request.recovery_boxes().begin(), request.recovery_boxes().end()})));
  }
  auto token = state_->NextToken(request.workload(), request.epoch());
  if (!token.ok()) return NoteWrite(token.status());
  SessionFacts facts{.node = node,
                     .workload = request.workload(),
                     .domain_id = request.domain_id(),
                     .backup_id = request.backup_id(),
                     .session_id = request.session_id(),
                     .keybox = request.keybox(),
                     .token = *token,
                     .epoch = index_->epoch(),
                     .hold = HoldOf(request.grant()),
                     .parity = ParityMode(Rules())};
  // Named before they are looked at: from then on they are not purged while the session is open.
  if (!request.parent_root().empty())
    facts.parents = backups_->FindByRoot(request.domain_id(), request.parent_root());
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> older,
                         sessions_.Register(std::make_shared<Session>(
                             std::move(facts), *store_, *index_, *trash_, *damaged_)));
  if (older != nullptr) older->WaitForPublished();
  v1::OpenSessionReply reply;
  reply.set_token(*token);
  reply.set_domain_empty(!index_->HasDomain(request.domain_id()));
  EMBER_ASSIGN_OR_RETURN(const bool parent_present,
                         presence_->HasCompleteBackup(request.domain_id(), request.parent_root()));
  reply.set_parent_present(parent_present);
  // With a parent there is little to ask about.
  if (!reply.domain_empty() && !parent_present) {
    EMBER_ASSIGN_OR_RETURN(*reply.mutable_known(), presence_->FilterOf(request.domain_id()));
  }
  return reply;
}

absl::StatusOr<v1::HaveReply> VaultImpl::Have(const std::string& node,
                                              const v1::HaveRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckHave(request));
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         sessions_.Find(node, request.session_id(), request.token()));
  const std::vector<absl::string_view> ids(request.ids().begin(), request.ids().end());
  v1::HaveReply reply;
  std::string& absent = *reply.mutable_absent();
  absent.assign(ids.size(), '\0');
  // "Present" is a promise: what the answer says must not be collected while the session is open.
  EMBER_RETURN_IF_ERROR(NoteWrite(
      presence_->Check(ids, session->facts().domain_id, Presence::Claim::kPin,
                       [&](size_t i, bool present, uint32_t) { absent[i] = present ? 0 : 1; })));
  return reply;
}

absl::Status VaultImpl::Append(const std::string& node, const v1::UploadRequest& request) {
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         sessions_.Find(node, request.session_id(), request.token()));
  absl::MutexLock lock(&session->mu);
  return NoteWrite(session->Append(request));
}

absl::StatusOr<int64_t> VaultImpl::Sync(const std::string& session_id) {
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, sessions_.Find(session_id));
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
  return ToReply(record, vault_id_);
}

absl::StatusOr<v1::CommitReply> VaultImpl::Commit(const std::string& node,
                                                  const std::string& session_id, uint64_t token,
                                                  const v1::CommitHeader& header,
                                                  const Pieces& pieces) {
  EMBER_RETURN_IF_ERROR(CheckCommit(header));
  // The reply of a commit may have been lost, and the session may be over by now, or the vault
  // restarted.
  if (const auto done = backups_->FindBySession(session_id)) return RepeatCommit(*done, header);
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                         sessions_.Find(node, session_id, token));
  // All ids first: whoever sends them slowly holds up nobody.
  NewRefSet ids(directory_, header.manifest_root());
  EMBER_RETURN_IF_ERROR(pieces([&ids](absl::string_view piece) { return ids.Append(piece); }));
  EMBER_RETURN_IF_ERROR(ids.CheckComplete(header.ids_total()));
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
                                                         const NewRefSet& ids) {
  const SessionFacts& facts = session.facts();
  EMBER_RETURN_IF_ERROR(session.Sync());
  const CommitGate::Pass pass(gate_);
  const uint64_t generation = damaged_->generation();
  v1::CommitReply reply;
  EMBER_ASSIGN_OR_RETURN(
      const std::set<uint32_t> sessions,
      presence_->SessionsOf([&ids](const PieceSink& sink) { return ids.Visit(sink); },
                            facts.domain_id,
                            pass.must_pin() ? Presence::Claim::kPin : Presence::Claim::kKeep,
                            [&](absl::string_view id) {
                              if (reply.need_size() < static_cast<int>(kNeedIdsMax))
                                reply.add_need(std::string(id));
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
  EMBER_ASSIGN_OR_RETURN(record, backups_->Publish(std::move(record), ids, clock_, facts.hold));
  session.SetCommitted();
  presence_->NoteComplete(facts.backup_id, generation);
  return ToReply(record, vault_id_);
}

absl::StatusOr<std::set<uint32_t>> VaultImpl::SessionsNow(const StoredBackupRecord& record) {
  const auto sessions = presence_->SessionsOf(
      [&](const PieceSink& sink) { return backups_->ReadRefs(record.backup_id(), sink); },
      record.domain_id(), Presence::Claim::kNone, [](absl::string_view) {});
  if (absl::IsDataLoss(sessions.status())) return std::set<uint32_t>();
  return sessions;
}

absl::StatusOr<v1::StoredBackup> VaultImpl::GetBackup(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const StoredBackupRecord record, backups_->Get(backup_id));
  v1::StoredBackup backup = ToWire(record);
  backup.set_vault_id(vault_id_);
  backup.mutable_receipt()->set_statement(ReceiptOf(record, vault_id_));
  std::map<std::string, std::string> keyboxes = {{record.session_id(), record.keybox()}};
  const auto add = [&keyboxes](const format::v1::PackSession& session) {
    if (!session.keybox().empty()) keyboxes.emplace(session.session_id(), session.keybox());
  };
  for (const std::string& session_id : record.sessions()) {
    if (const auto session = index_->FindSession(session_id)) add(*session);
  }
  EMBER_ASSIGN_OR_RETURN(const std::set<uint32_t> sessions, SessionsNow(record));
  for (const uint32_t number : sessions) add(index_->SessionOf(number));
  for (const auto& [session_id, sealed] : keyboxes) {
    v1::Keybox* keybox = backup.add_keyboxes();
    keybox->set_session_id(session_id);
    keybox->set_sealed(sealed);
  }
  const auto boxes = ReadDomainBoxes(*store_, record.domain_id());
  if (boxes.ok()) {
    *backup.mutable_recovery_boxes() = boxes->boxes();
    backup.set_estate_id(boxes->estate_id());
  } else if (!absl::IsNotFound(boxes.status())) {
    LogError("vault", "recovery boxes cannot be read", {{"why", boxes.status().message()}});
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

absl::Status VaultImpl::Read(const v1::ReadRequest& request, const std::string& domain_id,
                             const ReadSink& sink) {
  EMBER_RETURN_IF_ERROR(CheckRead(request));
  const ReaderLeases::Lease lease(readers_);
  RecordReader reader(*store_, *index_, *damaged_, domain_id, sink);
  if (!request.only_session().empty()) return reader.ReadSession(request.only_session());
  return reader.ReadIds({request.ids().begin(), request.ids().end()});
}

absl::StatusOr<v1::VaultResult> VaultImpl::Run(const v1::VaultOrder& order,
                                               const JobContext& context) {
  // A deletion, or its undoing, need not wait for a long job.
  switch (order.job_case()) {
    case v1::VaultOrder::kDelete: return deletion_->Delete(order.delete_(), Rules(), context);
    case v1::VaultOrder::kUndelete: return deletion_->Undelete(order.undelete(), context);
    default: return RunMaintenance(order, context);
  }
}

absl::StatusOr<v1::VaultResult> VaultImpl::RunMaintenance(const v1::VaultOrder& order,
                                                          const JobContext& context)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {  // TryLock
  if (!maintenance_mu_.TryLock()) {
    return WithHint(absl::UnavailableError("another job is under way on this vault"),
                    "try again when it has ended");
  }
  const auto unlock = absl::MakeCleanup([this] { maintenance_mu_.Unlock(); });
  const VaultRules rules = Rules();
  const CopyParts copies{.store = *store_,
                         .index = *index_,
                         .trash = *trash_,
                         .damaged = *damaged_,
                         .parity = ParityMode(rules)};
  const GcParts collected{.store = *store_,
                          .index = *index_,
                          .backups = *backups_,
                          .state = *state_,
                          .trash = *trash_,
                          .sessions = sessions_,
                          .readers = readers_,
                          .gate = gate_,
                          .clock = clock_,
                          .trash_window = rules.trash,
                          .parity = ParityMode(rules)};
  switch (order.job_case()) {
    case v1::VaultOrder::kGc: return GarbageCollection(collected, context).Run(order.gc());
    case v1::VaultOrder::kCheck: {
      const auto rewrite = [&](const std::vector<ChunkIndex::PackFacts>& packs,
                               v1::VaultResult& result) {
        return Sweep::Rewrite(collected, context, packs, result);
      };
      return Check({.copies = copies,
                    .backups = *backups_,
                    .boxes_mu = boxes_mu_,
                    .exports = *exports_,
                    .rewrite = rewrite},
                   context)
          .Run(order.check());
    }
    case v1::VaultOrder::kReplicate:
      return Replication({.scratch_directory = directory_,
                          .copies = copies,
                          .backups = *backups_,
                          .presence = *presence_,
                          .sessions = sessions_,
                          .boxes_mu = boxes_mu_,
                          .clock = clock_},
                         context)
          .Run(order.replicate());
    default: return absl::UnimplementedError("this vault does not know the job");
  }
}

std::string VaultImpl::FindProblem(const absl::StatusOr<ObjectStore::Space>& space) {
  if (!space.ok()) return std::string(space.status().message());
  if (space->free_bytes < kVaultReserveBytes)
    return "disk full: backups are refused until there is room";
  if (index_->damaged())
    return "the index is damaged: it is made anew when the vault's agent is restarted";
  {
    absl::MutexLock lock(&mu_);
    if (!problem_.empty()) return problem_;
  }
  if (backups_->damaged() > 0)
    return absl::StrCat(backups_->damaged(), " stored backups are damaged");
  if (backups_->broken_chains() > 0)
    return absl::StrCat(backups_->broken_chains(), " backups are missing or were exchanged");
  if (unreadable_packs_ > 0) return absl::StrCat(unreadable_packs_, " packs cannot be read");
  return "";
}

v1::VaultFact VaultImpl::Facts() {
  v1::VaultFact fact;
  fact.set_vault(name_);
  fact.set_vault_id(vault_id_);
  fact.set_sequence(sequence());
  fact.set_backups(backups_->size());
  fact.set_trashed_backups(backups_->trashed());
  fact.set_trashed_bytes(trash_->bytes());
  fact.set_damaged_records(damaged_->size());
  const CatalogExports::Newest exported = exports_->newest();
  fact.set_export_number(exported.number);
  if (exported.number > 0) *fact.mutable_export_made() = rpc::ToTimestamp(exported.made);
  const auto space = store_->GetSpace();
  if (space.ok()) {
    fact.set_free_bytes(space->free_bytes);
    fact.set_used_bytes(space->used_bytes);
  }
  fact.set_problem(FindProblem(space));
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
