#include "controller/protect/vault_jobs.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/clean.h"
#include "controller/protect/damage.h"
#include "controller/protect/deletable.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr int kNamedInError = 3;

const rec::BackupRecord* FindBackup(const EmState& em, const std::string& id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto found = em.catalog->backups().find(id);
  return found == em.catalog->backups().end() ? nullptr : &found->second;
}

void SetTrashed(const EmState& em, rec::BackupRecord record, bool trashed, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  v1::Backup& backup = *record.mutable_backup();
  backup.set_trashed(trashed);
  backup.clear_trashed_until();
  if (trashed) {
    *backup.mutable_trashed_until() =
        rpc::ToTimestamp(em.clock->Now() + TrashWindow(em, record.vault()));
  }
  batch->Put(std::move(record));
}

absl::Status FillDelete(const EmState& em, const rec::RunRecord& run, v1::DeleteBackupsJob* job,
                        Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const rec::BackupRecord* backup = FindBackup(em, run.run().backup_id());
  if (backup == nullptr) return BackupNotFound(run.run().backup_id());
  EMBER_RETURN_IF_ERROR(CheckDeletable(em, *backup));
  if (run.who().empty()) EMBER_RETURN_IF_ERROR(CheckStillGoes(em, *backup));
  job->add_backup_ids(run.run().backup_id());
  job->set_by_person(!run.who().empty());
  job->set_who(run.who());
  job->set_why(run.delete_request().why());
  SetTrashed(em, *backup, true, batch);
  return absl::OkStatus();
}

// What the check looked at: stored before it was asked for, as far as the controller knows.
bool Covered(const EmState& em, const rec::RunRecord& check, const rec::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (!IsStored(backup.backup())) return false;
  const auto made_by = em.catalog->runs().find(backup.run_id());
  return made_by == em.catalog->runs().end() || rpc::FromTimestamp(made_by->second.run().ended()) <=
                                                    rpc::FromTimestamp(check.run().started());
}

std::string Damage(const v1::VaultResult& result) {
  std::vector<std::string> parts;
  if (result.records_damaged() > 0)
    parts.push_back(absl::StrCat(result.records_damaged(), " damaged records"));
  if (result.damaged_backups_size() > 0) {
    const auto begin = result.damaged_backups().begin();
    const int named = std::min(result.damaged_backups_size(), kNamedInError);
    std::string backups = absl::StrJoin(begin, begin + named, ", ");
    if (result.damaged_backups_size() > named)
      absl::StrAppend(&backups, " and ", result.damaged_backups_size() - named, " more");
    parts.push_back(absl::StrCat("needed by ", backups));
  }
  if (result.problems_size() > 0) parts.push_back(result.problems(0));
  return absl::StrJoin(parts, "; ");
}

absl::StatusOr<std::string> TakeCheck(const EmState& em, const rec::RunRecord& run,
                                      const v1::VaultResult& result, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::string level = run.vault_request().read_data() ? "L1" : "L0";
  const std::set<std::string> damaged(result.damaged_backups().begin(),
                                      result.damaged_backups().end());
  for (const auto& [id, record] : em.catalog->backups()) {
    if (record.vault() != run.run().vault()) {
      rec::BackupRecord copied = record;
      const bool awaited = level == "L1" && NoteChecked(&copied, run.run().vault());
      if (awaited) batch->Put(copied);
      if (damaged.count(id) > 0)
        DropCopy(copied, run.run().vault(), absl::StrCat(level, " check"), batch);
      continue;
    }
    if (damaged.count(id) > 0) {
      MarkDamaged(record,
                  absl::StrCat("vault '", record.vault(), "' lost records of it (", level,
                               " check); which files: ember backup verify ", id),
                  batch);
      continue;
    }
    // Only a verification, which has the keys, makes a damaged backup good again. A vault with
    // other problems may not know which backups they are of.
    const v1::Backup& backup = record.backup();
    if (!result.problems().empty() || !Covered(em, run, record) || !backup.error().empty() ||
        backup.verified_level() >= level)
      continue;
    rec::BackupRecord passed = record;
    passed.mutable_backup()->set_verified_level(level);
    batch->Put(passed);
  }
  if (const std::string damage = Damage(result); !damage.empty())
    return absl::DataLossError(
        absl::StrCat("vault '", run.run().vault(), "' is damaged: ", damage));
  return absl::StrCat(level, " passed: ", result.records_checked(), " records, ",
                      result.packs_checked(), " packs, ", result.bytes_read(), " bytes read, ",
                      result.records_repaired(), " repaired");
}

// The vault has the last word about what the controller took to be in its trash.
void RestoreNotDeleted(const EmState& em, const rec::RunRecord& run, const v1::VaultResult& result,
                       Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const std::string& id : result.not_deleted()) {
    const rec::BackupRecord* backup = FindBackup(em, id);
    if (backup == nullptr || backup->vault() != run.run().vault()) continue;
    SetTrashed(em, *backup, false, batch);
    batch->AddEvent("backup.not_deleted", id,
                    absl::StrCat("vault '", run.run().vault(), "' never deleted it: it is kept"),
                    backup->backup().workload());
  }
}

std::string TakeGc(const EmState& em, const rec::RunRecord& run, const v1::VaultResult& result,
                   Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  RestoreNotDeleted(em, run, result, batch);
  for (const std::string& id : result.backups()) {
    const rec::BackupRecord* backup = FindBackup(em, id);
    if (backup == nullptr || backup->vault() != run.run().vault()) continue;
    rec::BackupRecord left = *backup;
    const bool has_copy = PromoteCopy(&left);
    has_copy ? batch->Put(left) : batch->Erase(*backup);
    batch->AddEvent(
        "backup.purged", id,
        absl::StrCat(
            "its time in the trash of vault '", run.run().vault(),
            run.vault_request().empty_trash() ? "' was ended" : "' is over",
            has_copy ? absl::StrCat("; its copy in vault '", left.vault(), "' stays") : ""),
        backup->backup().workload());
  }
  return absl::StrCat(result.backups_size(), " backups purged, ", result.bytes_freed(),
                      " bytes freed, ", result.bytes_in_trash(), " in the trash");
}

}  // namespace

bool IsVaultJob(const v1::Run& run) {
  for (const char* kind : {"delete", "undelete", "gc", "check", "rebuild-index", "replicate"}) {
    if (run.kind() == kind) return true;
  }
  return false;
}

bool VaultBusy(const EmState& em, const rec::RunRecord& run) {
  return std::any_of(em.catalog->runs().begin(), em.catalog->runs().end(), [&](const auto& entry) {
    const rec::RunRecord& other = entry.second;
    return IsVaultJob(other.run()) && other.run().vault() == run.run().vault() &&
           !other.order_id().empty() && IsOpenRun(other);
  });
}

absl::StatusOr<std::string> FillVaultOrder(const EmState& em, const rec::RunRecord& run,
                                           v1::Order* order, Batch* batch) {
  EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress address, AddressOf(em, run.run().vault()));
  const std::string& kind = run.run().kind();
  const v1::VaultJobRequest& request = run.vault_request();
  v1::VaultOrder* vault = order->mutable_vault();
  vault->set_vault(run.run().vault());
  if (kind == "delete") {
    EMBER_RETURN_IF_ERROR(FillDelete(em, run, vault->mutable_delete_(), batch));
  } else if (kind == "undelete") {
    vault->mutable_undelete()->add_backup_ids(run.run().backup_id());
  } else if (kind == "gc") {
    vault->mutable_gc()->set_empty_trash(request.empty_trash());
    for (const auto& [id, backup] : em.catalog->backups()) {
      if (backup.vault() == run.run().vault() && backup.backup().trashed())
        vault->mutable_gc()->add_trashed(id);
    }
  } else if (kind == "check") {
    vault->mutable_check()->set_read_data(request.read_data());
    vault->mutable_check()->set_repair(request.repair());
    if (!request.from().empty()) {
      EMBER_ASSIGN_OR_RETURN(*vault->mutable_check()->mutable_other(),
                             AddressOf(em, request.from()));
    }
  } else if (kind == "replicate") {
    EMBER_ASSIGN_OR_RETURN(*vault->mutable_replicate(), FillReplicate(em, run));
  } else {
    vault->mutable_rebuild_index();
  }
  return address.node();
}

absl::StatusOr<std::string> TakeVaultResult(const EmState& em, const rec::RunRecord& run,
                                            const v1::VaultResult& result, Batch* batch) {
  const std::string& kind = run.run().kind();
  if (kind == "gc") return TakeGc(em, run, result, batch);
  if (kind == "check") return TakeCheck(em, run, result, batch);
  if (kind == "replicate") return TakeReplicas(em, run, result, batch);
  if (kind == "rebuild-index") {
    return absl::StrCat("index made anew", result.problems().empty() ? "" : "; still wrong: ",
                        absl::StrJoin(result.problems(), "; "));
  }
  const bool deleted = kind == "delete";
  if (const rec::BackupRecord* backup = FindBackup(em, run.run().backup_id()))
    SetTrashed(em, *backup, deleted, batch);
  const std::string& why = run.delete_request().why();
  return absl::StrCat(deleted ? "deleted by " : "undeleted by ",
                      run.who().empty() ? "its policies" : run.who(), why.empty() ? "" : ": ", why);
}

void TakeVaultFailure(const EmState& em, const rec::RunRecord& run, absl::StatusCode code,
                      Batch* batch) {
  // With these the engine says that it is not deleted. After any other it may be (UNAVAILABLE is
  // also what an agent says that did it, died, and finds the vault's disk gone): it stays in the
  // trash until the next collection has compared.
  const bool refused = code == absl::StatusCode::kFailedPrecondition;
  const bool unknown = code == absl::StatusCode::kNotFound;
  const rec::BackupRecord* backup = FindBackup(em, run.run().backup_id());
  if (run.run().kind() != "delete" || backup == nullptr || !(refused || unknown)) return;
  rec::BackupRecord kept = *backup;
  kept.mutable_backup()->set_trashed(false);
  kept.mutable_backup()->clear_trashed_until();
  if (unknown) {
    MarkDamaged(kept, absl::StrCat("vault '", kept.vault(), "' does not hold it"), batch);
  } else {
    batch->Put(std::move(kept));
  }
}

}  // namespace ember::controller
