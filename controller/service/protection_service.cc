// Backups, restores and work on vaults: wishes recorded here, carried out by the tick.
#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/fleet/observing.h"
#include "controller/protect/clean.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"
#include "controller/recover/recoveries.h"
#include "controller/service/services.h"
#include "controller/service/views.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class ProtectionServiceImpl : public v1::ProtectionService::Service {
 public:
  explicit ProtectionServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status RunBackup(grpc::ServerContext* context, const v1::RunBackupRequest* request,
                         v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartBackup(rpc::CallerOf(*context).name, *request, reply));
  }

  grpc::Status Restore(grpc::ServerContext* context, const v1::RestoreRequest* request,
                       v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartRestore(rpc::CallerOf(*context).name, *request, reply));
  }

  grpc::Status VerifyBackup(grpc::ServerContext*, const v1::VerifyBackupRequest* request,
                            v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartVerify(*request, reply));
  }

  grpc::Status ListFiles(grpc::ServerContext*, const v1::ListFilesRequest* request,
                         v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartListing(*request, reply));
  }

  grpc::Status DiffBackups(grpc::ServerContext*, const v1::DiffBackupsRequest* request,
                           v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartDiff(*request, reply));
  }

  grpc::Status ReadFile(grpc::ServerContext*, const v1::ReadFileRequest* request,
                        v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(StartReading(*request, reply));
  }

  grpc::Status GetRun(grpc::ServerContext*, const v1::GetRunRequest* request,
                      v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    const auto it = em_.catalog->runs().find(request->id());
    if (it == em_.catalog->runs().end()) return rpc::ToGrpc(RunNotFound(request->id()));
    *reply = RunWire(em_, it->second);
    return grpc::Status::OK;
  }

  grpc::Status CancelRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                         v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    const auto it = em_.catalog->runs().find(request->id());
    if (it == em_.catalog->runs().end()) return rpc::ToGrpc(RunNotFound(request->id()));
    const absl::Status status = Cancel(rpc::CallerOf(*context).name, it->second);
    *reply = RunWire(em_, em_.catalog->runs().at(request->id()));
    return rpc::ToGrpc(status);
  }

  grpc::Status ListBackups(grpc::ServerContext*, const v1::ListBackupsRequest* request,
                           v1::ListBackupsReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string& workload = request->workload();
    int64_t stored = 0;
    bool known = workload.empty() || em_.catalog->FindWorkload(workload) != nullptr;
    for (const auto& [id, backup] : em_.catalog->backups()) {
      if (!workload.empty() && backup.backup().workload() != workload) continue;
      known = true;
      *reply->add_items() = BackupWire(em_, backup);
      stored += backup.backup().added_bytes();
    }
    if (!known) return rpc::ToGrpc(WorkloadNotFound(workload));
    reply->set_stored_bytes(stored);
    AddRetention(em_, workload, reply);
    return grpc::Status::OK;
  }

  grpc::Status GetBackup(grpc::ServerContext*, const v1::GetBackupRequest* request,
                         v1::Backup* reply) override {
    absl::MutexLock lock(&em_.mu);
    auto backup = ResolveBackup(em_, request->id());
    if (!backup.ok()) return rpc::ToGrpc(backup.status());
    *reply = BackupWire(em_, **backup);
    return grpc::Status::OK;
  }

  grpc::Status PinBackup(grpc::ServerContext* context, const v1::PinBackupRequest* request,
                         v1::Backup* reply) override {
    absl::MutexLock lock(&em_.mu);
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    auto found = ResolveBackup(em_, request->id());
    if (!found.ok()) return rpc::ToGrpc(found.status());
    if (absl::Status kept = CheckNotTrashed((*found)->backup()); !kept.ok())
      return rpc::ToGrpc(kept);
    rec::BackupRecord backup = **found;
    backup.mutable_backup()->set_pinned(request->pinned());
    Batch batch;
    batch.Put(backup);
    batch.AddEvent(request->pinned() ? "backup.pinned" : "backup.unpinned", backup.backup().id(),
                   absl::StrCat("by ", rpc::CallerOf(*context).name), backup.backup().workload());
    if (absl::Status status = em_.Commit(batch); !status.ok()) return rpc::ToGrpc(status);
    *reply = BackupWire(em_, backup);
    return grpc::Status::OK;
  }

  grpc::Status DeleteBackup(grpc::ServerContext* context, const v1::DeleteBackupRequest* request,
                            v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string who = rpc::CallerOf(*context).name;
    return rpc::ToGrpc(StartVaultJob(WishDelete(em_, who, *request), request->why(), reply));
  }

  grpc::Status UndeleteBackup(grpc::ServerContext* context, const v1::GetBackupRequest* request,
                              v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string who = rpc::CallerOf(*context).name;
    return rpc::ToGrpc(StartVaultJob(WishUndelete(em_, who, request->id()), "", reply));
  }

  grpc::Status PlanClean(grpc::ServerContext*, const v1::PlanCleanRequest* request,
                         v1::CleanPlan* reply) override {
    absl::MutexLock lock(&em_.mu);
    return Answer(PlanCleanOf(em_, request->workload()), reply);
  }

  grpc::Status Clean(grpc::ServerContext* context, const v1::CleanRequest* request,
                     v1::CleanReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    return Answer(controller::Clean(em_, rpc::CallerOf(*context).name, *request), reply);
  }

  grpc::Status ListNextRuns(grpc::ServerContext*, const v1::ListNextRunsRequest* request,
                            v1::ListNextRunsReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    return Answer(NextRuns(em_, *request), reply);
  }

  grpc::Status RunVaultJob(grpc::ServerContext* context, const v1::VaultJobRequest* request,
                           v1::Run* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string who = rpc::CallerOf(*context).name;
    const std::string how = absl::StrCat(request->read_data() ? " --read-data" : "",
                                         request->repair() ? " --repair" : "",
                                         request->empty_trash() ? " --empty-trash" : "");
    return rpc::ToGrpc(StartVaultJob(WishVaultJob(em_, who, *request),
                                     absl::StripLeadingAsciiWhitespace(how), reply));
  }

 private:
  template <typename Reply>
  static grpc::Status Answer(absl::StatusOr<Reply> answer, Reply* reply) {
    if (answer.ok()) *reply = *std::move(answer);
    return rpc::ToGrpc(answer.status());
  }

  // What is in the trash may be purged at any moment.
  static absl::Status CheckNotTrashed(const v1::Backup& backup) {
    if (!backup.trashed()) return absl::OkStatus();
    return WithHint(
        absl::FailedPreconditionError(absl::StrCat("backup ", backup.id(), " is in the trash")),
        absl::StrCat("ember backup undelete ", backup.id()));
  }

  absl::Status StartVaultJob(absl::StatusOr<rec::RunRecord> wish, absl::string_view why,
                             v1::Run* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(wish.status());
    const v1::Run& run = wish->run();
    Batch batch;
    batch.AddEvent(absl::StrCat(run.kind(), ".asked"),
                   run.backup_id().empty() ? run.vault() : run.backup_id(),
                   absl::StrCat("by ", wish->who(), why.empty() ? "" : ": ", why), run.workload());
    return Record(*std::move(wish), &batch, reply);
  }

  absl::Status Record(rec::RunRecord run, Batch* batch, v1::Run* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(RefuseWhileObserving(em_));
    batch->Put(run);
    EMBER_RETURN_IF_ERROR(em_.Commit(*batch));
    em_.news = true;
    *reply = run.run();
    return absl::OkStatus();
  }

  absl::Status StartBackup(const std::string& who, const v1::RunBackupRequest& request,
                           v1::Run* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (em_.catalog->FindWorkload(request.workload()) == nullptr)
      return WorkloadNotFound(request.workload());
    if (!request.kind().empty() && request.kind() != "full" && request.kind() != "incremental") {
      return absl::InvalidArgumentError(
          absl::StrCat("backup kind '", request.kind(), "' is not known: full or incremental"));
    }
    if (!request.name().empty()) {
      EMBER_RETURN_IF_ERROR(ValidateName("backup", request.name()));
      for (const auto& [id, backup] : em_.catalog->backups()) {
        if (backup.backup().name() != request.name() ||
            backup.backup().workload() != request.workload())
          continue;
        if (backup.backup().outcome() == v1::Outcome::FAILED) continue;
        return WithHint(absl::FailedPreconditionError(absl::StrCat(
                            "a backup named '", request.name(), "' exists already: ", id)),
                        "choose another name; backups are never overwritten");
      }
      for (const auto& [id, other] : em_.catalog->runs()) {
        if (!IsOpenRun(other) || other.run().workload() != request.workload() ||
            other.backup_request().name() != request.name())
          continue;
        return WithHint(absl::FailedPreconditionError(absl::StrCat(
                            "a backup named '", request.name(), "' is about to be made: ", id)),
                        "choose another name; backups are never overwritten");
      }
    }
    rec::RunRecord run = NewRun(em_, "backup", request.workload());
    *run.mutable_backup_request() = request;
    Batch batch;
    batch.AddEvent("backup.asked", request.workload(),
                   absl::StrCat("by ", who, request.reason().empty() ? "" : ": ", request.reason()),
                   request.workload());
    return Record(std::move(run), &batch, reply);
  }

  absl::Status StartRestore(const std::string& who, const v1::RestoreRequest& request,
                            v1::Run* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(
        const rec::BackupRecord* backup,
        request.has_at() ? NewestGoodAt(em_, request.backup(), rpc::FromTimestamp(request.at()))
                         : ResolveBackup(em_, request.backup()));
    const v1::Backup& wire = backup->backup();
    if (wire.outcome() == v1::Outcome::FAILED || wire.outcome() == v1::Outcome::RUNNING) {
      return absl::FailedPreconditionError(absl::StrCat("backup ", wire.id(), " is ",
                                                        v1::Outcome::Value_Name(wire.outcome()),
                                                        ": there is nothing to restore"));
    }
    EMBER_RETURN_IF_ERROR(CheckNotTrashed(wire));
    if (!request.to_node().empty() && em_.catalog->nodes().count(request.to_node()) == 0)
      return NodeNotFound(request.to_node());
    if (!request.to_directory().empty() && request.to_directory()[0] != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat("target '", request.to_directory(), "' is not an absolute path"));
    }
    const bool in_place = request.to_directory().empty();
    if (in_place && em_.catalog->FindWorkload(wire.workload()) == nullptr) {
      return WithHint(WorkloadNotFound(wire.workload()), "restore it elsewhere with --to NODE:DIR");
    }
    if (in_place && !request.confirmed() && !request.dry_run()) {
      return NeedsConfirmation(absl::StrCat("restoring ", wire.id(),
                                            " in place replaces the data of '", wire.workload(),
                                            "'; what is there is kept as a safety copy"));
    }
    rec::RunRecord run = NewRun(em_, "restore", wire.workload());
    run.mutable_run()->set_backup_id(wire.id());
    *run.mutable_restore_request() = request;
    if (TouchesData(run)) EMBER_RETURN_IF_ERROR(RefuseWhileRecovered(em_, wire.workload()));
    Batch batch;
    if (!request.dry_run()) {
      batch.AddEvent(
          "restore.asked", wire.id(),
          absl::StrCat("by ", who,
                       in_place ? ", in place" : absl::StrCat(", to ", request.to_directory())),
          wire.workload());
    }
    return Record(std::move(run), &batch, reply);
  }

  absl::Status StartVerify(const v1::VerifyBackupRequest& request, v1::Run* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, ResolveBackup(em_, request.backup()));
    EMBER_RETURN_IF_ERROR(CheckNotTrashed(backup->backup()));
    if (!request.vault().empty() && !absl::c_linear_search(HoldersOf(*backup), request.vault())) {
      return WithHint(absl::NotFoundError(absl::StrCat("backup ", backup->backup().id(),
                                                       " is not in vault '", request.vault(), "'")),
                      absl::StrCat("it is in ", absl::StrJoin(HoldersOf(*backup), ", ")));
    }
    rec::RunRecord run = NewRun(em_, "verify", backup->backup().workload());
    run.mutable_run()->set_backup_id(backup->backup().id());
    run.mutable_run()->set_vault(request.vault());
    if (request.sample_percent() < 0 || request.sample_percent() > 100) {
      return absl::InvalidArgumentError(
          absl::StrCat("a sample of ", request.sample_percent(), " % is not possible: 1 to 100"));
    }
    if (request.sample_percent() < 100) run.set_sample_percent(request.sample_percent());
    Batch batch;
    return Record(std::move(run), &batch, reply);
  }

  static absl::Status CheckAbsolute(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (!path.empty() && path[0] != '/')
        return absl::InvalidArgumentError(absl::StrCat("'", path, "' is not an absolute path"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<const rec::BackupRecord*> Listable(const std::string& text)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, ResolveBackup(em_, text));
    const v1::Backup& wire = backup->backup();
    if (IsStored(wire)) return backup;
    return absl::FailedPreconditionError(absl::StrCat("backup ", wire.id(), " is ",
                                                      v1::Outcome::Value_Name(wire.outcome()),
                                                      ": there is nothing to list"));
  }

  absl::Status StartDiff(const v1::DiffBackupsRequest& request, v1::Run* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(CheckAbsolute({request.path(), request.after()}));
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* before, Listable(request.backup()));
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* after, Listable(request.other()));
    if (before->domain_id() != after->domain_id()) {
      return WithHint(
          absl::FailedPreconditionError(absl::StrCat(
              before->backup().id(), " and ", after->backup().id(),
              " were made on different nodes, whose files are named by different keys: they "
              "cannot be compared")),
          "compare two backups that the same node made");
    }
    rec::RunRecord run = NewRun(em_, "diff", after->backup().workload());
    run.mutable_run()->set_backup_id(before->backup().id());
    *run.mutable_diff_request() = request;
    run.mutable_diff_request()->set_other(after->backup().id());
    Batch batch;
    return Record(std::move(run), &batch, reply);
  }

  absl::Status StartListing(const v1::ListFilesRequest& request, v1::Run* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(CheckAbsolute({request.path(), request.after()}));
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, Listable(request.backup()));
    const v1::Backup& wire = backup->backup();
    rec::RunRecord run = NewRun(em_, "files", wire.workload());
    run.mutable_run()->set_backup_id(wire.id());
    *run.mutable_files_request() = request;
    Batch batch;
    return Record(std::move(run), &batch, reply);
  }

  absl::Status StartReading(const v1::ReadFileRequest& request, v1::Run* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (request.path().empty()) return absl::InvalidArgumentError("a path is missing: which file?");
    EMBER_RETURN_IF_ERROR(CheckAbsolute({request.path()}));
    if (request.offset() < 0)
      return absl::InvalidArgumentError(absl::StrCat("offset ", request.offset(), " is negative"));
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, Listable(request.backup()));
    rec::RunRecord run = NewRun(em_, "read", backup->backup().workload());
    run.mutable_run()->set_backup_id(backup->backup().id());
    *run.mutable_read_request() = request;
    Batch batch;
    return Record(std::move(run), &batch, reply);
  }

  absl::Status Cancel(const std::string& who, rec::RunRecord run)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (!IsOpenRun(run)) return absl::OkStatus();
    Batch batch;
    // The agent asks about the order in its next beat, hears that nobody wants it, and stops.
    const auto order = em_.catalog->orders().find(run.order_id());
    if (order != em_.catalog->orders().end()) batch.Erase(order->second);
    const auto backup = em_.catalog->backups().find(run.run().backup_id());
    if (run.run().kind() == "backup" && backup != em_.catalog->backups().end()) {
      rec::BackupRecord record = backup->second;
      record.mutable_backup()->set_outcome(v1::Outcome::FAILED);
      record.mutable_backup()->set_error("cancelled");
      batch.Put(record);
    }
    run.clear_order_id();
    run.mutable_run()->set_outcome(v1::Outcome::FAILED);
    run.mutable_run()->set_error("cancelled");
    run.mutable_run()->set_code(static_cast<int>(absl::StatusCode::kCancelled));
    *run.mutable_run()->mutable_ended() = rpc::ToTimestamp(em_.clock->Now());
    batch.Put(run);
    if (!ChangesNothing(run)) {
      batch.AddEvent(absl::StrCat(run.run().kind(), ".cancelled"), run.run().id(),
                     absl::StrCat("by ", who), run.run().workload());
    }
    em_.news = true;
    return em_.Commit(batch);
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewProtectionService(EmState* em) {
  return std::make_unique<ProtectionServiceImpl>(em);
}

}  // namespace ember::controller
