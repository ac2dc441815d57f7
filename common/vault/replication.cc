#include "common/vault/replication.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/domain_boxes.h"
#include "common/vault/job.h"
#include "common/vault/request_check.h"

namespace ember::vault {
namespace {

// What is wrong with this one backup there; the others may be sound.
bool IsOfTheBackup(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status) || absl::IsInvalidArgument(status);
}

}  // namespace

absl::StatusOr<v1::VaultResult> Replication::Run(const v1::ReplicateJob& job) {
  if (context_.other == nullptr)
    return absl::InvalidArgumentError("a replication needs a vault to copy from");
  EMBER_ASSIGN_OR_RETURN(v1::ListStoredBackupsReply list, context_.other->ListBackups());
  // In the order of their commits: a later one refers to records of the earlier ones.
  absl::c_sort(*list.mutable_items(),
               [](const auto& a, const auto& b) { return a.sequence() < b.sequence(); });
  for (const v1::StoredBackup& backup : list.items()) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    const bool wanted =
        job.workloads().empty() || absl::c_linear_search(job.workloads(), backup.workload());
    if (wanted) EMBER_RETURN_IF_ERROR(Settle(backup));
  }
  return result_;
}

absl::Status Replication::Settle(const v1::StoredBackup& there) {
  const std::string& id = there.backup_id();
  const auto here = parts_.backups.Find(id);
  if ((here && here->deletion) || parts_.backups.FindPurged(id)) return absl::OkStatus();
  if (here && here->manifest_root != there.manifest_root()) {
    AddProblem(result_, absl::StrCat("another backup is called ", id, " here"));
    return absl::OkStatus();
  }
  if (here) {
    EMBER_ASSIGN_OR_RETURN(const bool complete,
                           parts_.presence.HasCompleteBackup(here->domain_id, here->manifest_root));
    // The answer to an earlier order may have been lost: what was copied before is named, too.
    if (complete) {
      result_.add_backups(id);
      return absl::OkStatus();
    }
  }
  return CopyBackup(id, here.has_value());
}

absl::Status Replication::CopyBackup(const std::string& backup_id, bool is_here) {
  const auto fetched = Fetch(backup_id);
  if (!fetched.ok() && !IsOfTheBackup(fetched.status())) return fetched.status();
  absl::Status problem = fetched.status();
  const int64_t before = result_.bytes_copied();
  if (problem.ok()) {
    const Fetched& copy = *fetched;
    EMBER_RETURN_IF_ERROR(TakeBoxes(copy.backup));
    EMBER_ASSIGN_OR_RETURN(const int64_t missing, CopyRecords(copy));
    if (missing > 0) {
      problem = absl::DataLossError(
          absl::StrCat(missing, " of its records are damaged or missing there"));
    } else if (!is_here) {
      problem = PublishCopy(copy, result_.bytes_copied() - before);
      if (!problem.ok() && !absl::IsAborted(problem)) return problem;
    }
  }
  if (problem.ok()) {
    result_.add_backups(backup_id);
    LogInfo("vault", "a backup was copied",
            {{"backup", backup_id}, {"bytes", result_.bytes_copied() - before}});
    return absl::OkStatus();
  }
  if (absl::IsNotFound(problem)) {
    EMBER_ASSIGN_OR_RETURN(const bool gone, IsGoneThere(backup_id));
    if (gone) return absl::OkStatus();
  }
  AddProblem(result_, absl::StrCat("backup ", backup_id, " is not copied: ", problem.message()));
  return absl::OkStatus();
}

// Not found may also mean that the vault itself is not served any more.
absl::StatusOr<bool> Replication::IsGoneThere(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, context_.other->ListBackups());
  return absl::c_none_of(list.items(), [&](const auto& b) { return b.backup_id() == backup_id; });
}

absl::StatusOr<Replication::Fetched> Replication::Fetch(const std::string& backup_id) {
  Fetched fetched;
  EMBER_ASSIGN_OR_RETURN(fetched.backup, context_.other->GetBackup(backup_id));
  EMBER_RETURN_IF_ERROR(CheckReplica(fetched.backup));
  if (fetched.backup.backup_id() != backup_id)
    return absl::InvalidArgumentError("another backup was given than was asked for");
  EMBER_RETURN_IF_ERROR(CheckSessions(fetched.backup));
  EMBER_ASSIGN_OR_RETURN(fetched.ids, FetchIds(fetched.backup));
  return fetched;
}

// A session has one key and makes one backup: another key would lock out whoever restores its
// records.
absl::Status Replication::CheckSessions(const v1::StoredBackup& backup) {
  for (const format::v1::PackSession& session : SessionsOf(backup)) {
    if (!FitsKnownSession(parts_.copies.index, session))
      return absl::InvalidArgumentError("one of its sessions is known here with another key");
  }
  const auto made = parts_.backups.FindBySession(backup.session_id());
  const bool is_own = made && *made == backup.backup_id();
  if (!is_own && (made || parts_.sessions.Find(backup.session_id()).ok()))
    return absl::InvalidArgumentError("its session is known here for another backup");
  return absl::OkStatus();
}

// Before anything of the domain is stored: without them nobody but the EM could read it.
absl::Status Replication::TakeBoxes(const v1::StoredBackup& backup) {
  absl::MutexLock lock(&parts_.boxes_mu);
  return PutDomainBoxes(parts_.copies.store, backup.domain_id(), backup.estate_id(),
                        {backup.recovery_boxes().begin(), backup.recovery_boxes().end()});
}

absl::StatusOr<std::unique_ptr<NewRefSet>> Replication::FetchIds(const v1::StoredBackup& backup) {
  v1::CommitHeader header;
  header.set_sealed_summary(backup.sealed_summary());
  header.set_ids_total(backup.ids_total());
  EMBER_RETURN_IF_ERROR(CheckCommit(header));
  auto ids = std::make_unique<NewRefSet>(parts_.scratch_directory, backup.manifest_root());
  EMBER_RETURN_IF_ERROR(
      context_.other->ReadRefs(backup.backup_id(), [&](absl::string_view joined) -> absl::Status {
        EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
        return ids->Append(joined);
      }));
  EMBER_RETURN_IF_ERROR(ids->CheckComplete(backup.ids_total()));
  return ids;
}

absl::StatusOr<int64_t> Replication::CopyRecords(const Fetched& copy) {
  RecordCopier copier(parts_.copies, *context_.other, SessionsOf(copy.backup),
                      [this](int64_t bytes) {
                        result_.set_records_copied(result_.records_copied() + 1);
                        result_.set_bytes_copied(result_.bytes_copied() + bytes);
                        ReportProgress(context_, "copying", result_.bytes_copied(), 0);
                        return CheckCancelled(context_);
                      });
  std::vector<std::string> absent;
  absl::Status copied = copy.ids->Visit([&](absl::string_view joined) -> absl::Status {
    const std::vector<absl::string_view> ids = SplitIds(joined);
    EMBER_RETURN_IF_ERROR(parts_.presence.Check(ids, copy.backup.domain_id(),
                                                Presence::Claim::kKeep,
                                                [&](size_t i, bool present, uint32_t) {
                                                  if (!present) absent.emplace_back(ids[i]);
                                                }));
    if (absent.size() < kReplicaBatchIds) return absl::OkStatus();
    return copier.Copy(std::exchange(absent, {}));
  });
  if (copied.ok()) copied = copier.Copy(absent);
  // What came before an error need not come again.
  copied.Update(copier.Finish());
  EMBER_RETURN_IF_ERROR(copied);
  return copier.missing();
}

absl::Status Replication::PublishCopy(const Fetched& copy, int64_t added_bytes) {
  const v1::StoredBackup& backup = copy.backup;
  const uint64_t generation = parts_.copies.damaged.generation();
  size_t absent = 0;
  EMBER_ASSIGN_OR_RETURN(
      const std::set<uint32_t> sessions,
      parts_.presence.SessionsOf([&copy](const PieceSink& sink) { return copy.ids->Visit(sink); },
                                 backup.domain_id(), Presence::Claim::kKeep,
                                 [&absent](absl::string_view) { ++absent; }));
  if (absent > 0) {
    return absl::AbortedError(absl::StrCat(absent, " of its records got lost meanwhile"));
  }
  format::v1::StoredBackupRecord record;
  record.set_backup_id(backup.backup_id());
  record.set_domain_id(backup.domain_id());
  record.set_workload(backup.workload());
  record.set_session_id(backup.session_id());
  record.set_manifest_root(backup.manifest_root());
  record.set_sealed_summary(backup.sealed_summary());
  record.set_summary_nonce(backup.summary_nonce());
  record.set_added_bytes(added_bytes);
  for (const v1::Keybox& keybox : backup.keyboxes()) {
    if (keybox.session_id() == backup.session_id()) record.set_keybox(keybox.sealed());
  }
  for (const uint32_t number : sessions)
    record.add_sessions(parts_.copies.index.SessionOf(number).session_id());
  // Of a copy of a copy: the vault that it was committed to first.
  const bool first_hand = backup.origin_vault_id().empty();
  record.set_origin_vault_id(first_hand ? backup.vault_id() : backup.origin_vault_id());
  record.set_origin_sequence(first_hand ? backup.sequence() : backup.origin_sequence());
  *record.mutable_origin_received() = first_hand ? backup.received() : backup.origin_received();
  if (backup.has_held_until()) *record.mutable_retain_until() = backup.held_until();
  EMBER_RETURN_IF_ERROR(
      parts_.backups.Publish(std::move(record), *copy.ids, parts_.clock).status());
  parts_.presence.NoteComplete(backup.backup_id(), generation);
  return absl::OkStatus();
}

}  // namespace ember::vault
