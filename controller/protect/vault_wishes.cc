// What people may ask of a vault.
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "controller/protect/deletable.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr size_t kNamedInQuestion = 10;

std::string LossOf(const EmState& em, const rec::BackupRecord& record)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Backup& backup = record.backup();
  int others = 0;
  for (const rec::BackupRecord* good : GoodBackups(em, backup.workload()))
    others += good->backup().id() != backup.id();
  return absl::StrCat(
      "deleting ", backup.id(), " (", backup.files(), " files, ", backup.size_bytes(),
      " bytes) puts it into the trash of vault '", record.vault(), "' for ",
      absl::FormatDuration(TrashWindow(em, record.vault())), ", then it is gone ",
      record.copies().empty() ? "for good"
                              : absl::StrCat("from there, its copies in ",
                                             absl::StrJoin(record.copies(), ", "), " stay"),
      "; ", others, " other good backups of '", backup.workload(), "' stay");
}

// Empty when the trash is.
std::string TrashOf(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::vector<std::string> ids;
  for (const auto& [id, backup] : em.catalog->backups()) {
    if (backup.vault() == vault && backup.backup().trashed()) ids.push_back(id);
  }
  const size_t total = ids.size();
  if (total > kNamedInQuestion) ids.resize(kNamedInQuestion);
  return absl::StrCat(absl::StrJoin(ids, ", "),
                      total > ids.size() ? absl::StrCat(" and ", total - ids.size(), " more") : "");
}

absl::Status CheckFrom(const v1::VaultJobRequest& request) {
  const std::string& job = request.job();
  if (request.from().empty()) {
    if (job != "replicate") return absl::OkStatus();
    return absl::InvalidArgumentError("a replication needs a vault to copy from");
  }
  if (job != "replicate" && job != "check")
    return absl::InvalidArgumentError(
        absl::StrCat("wrong option: from is of check and replicate, not of ", job));
  if (request.from() == request.vault())
    return absl::InvalidArgumentError(
        absl::StrCat("vault '", request.vault(), "' cannot help itself: name another one"));
  if (job == "check" && (!request.read_data() || !request.repair()))
    return absl::InvalidArgumentError("healing from another vault needs read_data and repair");
  return absl::OkStatus();
}

absl::Status CheckOptions(const v1::VaultJobRequest& request) {
  const std::string& job = request.job();
  if (job != "gc" && job != "check" && job != "rebuild-index" && job != "replicate") {
    return absl::InvalidArgumentError(
        absl::StrCat("no job '", job, "' of vaults: it is gc, check, rebuild-index or replicate"));
  }
  EMBER_RETURN_IF_ERROR(CheckFrom(request));
  if (job != "check" && (request.read_data() || request.repair()))
    return absl::InvalidArgumentError(
        absl::StrCat("wrong option: read_data and repair are of check, not of ", job));
  if (job != "gc" && request.empty_trash())
    return absl::InvalidArgumentError(
        absl::StrCat("wrong option: empty_trash is of gc, not of ", job));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<rec::RunRecord> WishFor(const EmState& em, absl::string_view kind,
                                       const std::string& who, const rec::BackupRecord& backup) {
  if (FindVault(em.catalog->estate().estate(), backup.vault()) == nullptr)
    return VaultNotFound(backup.vault());
  rec::RunRecord run = NewRun(em, kind, backup.backup().workload());
  run.mutable_run()->set_backup_id(backup.backup().id());
  run.mutable_run()->set_vault(backup.vault());
  run.set_who(who);
  return run;
}

absl::StatusOr<rec::RunRecord> WishDelete(const EmState& em, const std::string& who,
                                          const v1::DeleteBackupRequest& request) {
  EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, ResolveBackup(em, request.id()));
  EMBER_RETURN_IF_ERROR(CheckDeletable(em, *backup));
  EMBER_ASSIGN_OR_RETURN(rec::RunRecord run, WishFor(em, "delete", who, *backup));
  if (!request.confirmed()) return NeedsConfirmation(LossOf(em, *backup));
  *run.mutable_delete_request() = request;
  return run;
}

absl::StatusOr<rec::RunRecord> WishUndelete(const EmState& em, const std::string& who,
                                            const std::string& backup_name) {
  EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, ResolveBackup(em, backup_name));
  if (!backup->backup().trashed()) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat(
                        "nothing to undelete: backup ", backup->backup().id(), " is not deleted")),
                    "ember backup list");
  }
  return WishFor(em, "undelete", who, *backup);
}

absl::StatusOr<rec::RunRecord> WishVaultJob(const EmState& em, const std::string& who,
                                            const v1::VaultJobRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckOptions(request));
  for (const std::string& vault : {request.vault(), request.from()}) {
    if (!vault.empty() && FindVault(em.catalog->estate().estate(), vault) == nullptr)
      return VaultNotFound(vault);
  }
  if (request.empty_trash() && !request.confirmed()) {
    const std::string trash = TrashOf(em, request.vault());
    return NeedsConfirmation(absl::StrCat(
        "emptying the trash of vault '", request.vault(),
        "' removes for good what was deleted: ", trash.empty() ? "no backup at present" : trash));
  }
  rec::RunRecord run = NewRun(em, request.job(), "");
  run.mutable_run()->set_vault(request.vault());
  *run.mutable_vault_request() = request;
  run.set_who(who);
  return run;
}

}  // namespace ember::controller
