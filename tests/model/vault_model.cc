#include "tests/model/vault_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::testing {
namespace {

template <typename... Words>
absl::Status Differs(const Words&... words) {
  return absl::InternalError(absl::StrCat(words...));
}

absl::Status ExpectAborted(absl::string_view call, const absl::Status& answer) {
  if (absl::IsAborted(answer)) return absl::OkStatus();
  return Differs(call, " of a session that is over: ", answer.ToString());
}

}  // namespace

void VaultModel::SetTime(absl::Time now, absl::Duration monotonic) {
  now_ = now;
  monotonic_ = monotonic;
  highest_ = std::max(highest_, now);
}

const VaultModel::Session* VaultModel::CurrentOf(const std::string& workload) const {
  const auto session = sessions_.find(workload);
  return session == sessions_.end() ? nullptr : &session->second;
}

VaultModel::Session* VaultModel::Find(const PlannedBackup& backup, uint64_t token) {
  const auto session = sessions_.find(backup.workload);
  const bool current = session != sessions_.end() && session->second.backup == backup &&
                       session->second.token == token;
  if (!current) return nullptr;
  session->second.used = monotonic_;
  return &session->second;
}

Presence VaultModel::Of(int record) const {
  const auto known = records_.find(record);
  return known == records_.end() ? Presence::kAbsent : known->second;
}

void VaultModel::MakeDurable(Session& session) {
  for (const int record : session.pending) records_[record] = Presence::kPresent;
  session.answered.insert(session.pending.begin(), session.pending.end());
  session.pending.clear();
}

absl::Status VaultModel::Opened(const PlannedBackup& backup, uint64_t epoch,
                                const absl::StatusOr<uint64_t>& token) {
  const auto known = backups_.find(backup);
  if (known != backups_.end() && known->second.state != Backup::kStored) {
    // A deleted backup's id stays taken while it can come back; after that either will do.
    if (!token.ok() && absl::IsAlreadyExists(token.status())) return absl::OkStatus();
  }
  if (epoch < epochs_[backup.workload]) return ExpectAborted("open", token.status());
  if (!token.ok()) return Differs("open: ", token.status().ToString());
  if (*token <= tokens_[backup.workload]) return Differs("open: the token did not rise");
  tokens_[backup.workload] = *token;
  epochs_[backup.workload] = epoch;
  sessions_[backup.workload] = {
      .backup = backup, .token = *token, .pending = {}, .answered = {}, .used = monotonic_};
  return absl::OkStatus();
}

absl::Status VaultModel::Answered(const PlannedBackup& backup, uint64_t token,
                                  const std::vector<int>& asked,
                                  const absl::StatusOr<std::vector<int>>& absent) {
  Session* const session = Find(backup, token);
  if (session == nullptr) return ExpectAborted("have", absent.status());
  EMBER_RETURN_IF_ERROR(absent.status());
  const std::set<int> lacks(absent->begin(), absent->end());
  for (const int record : asked) {
    const bool has = !lacks.contains(record);
    const Presence expected = session->answered.contains(record) ? Presence::kPresent : Of(record);
    // More may be kept than the model knows: another session's copy of what was condemned. What the
    // vault claims to have must hold at the commit, which is read.
    if (!has && expected == Presence::kPresent) return Differs("have: lost record ", record);
    records_[record] = has ? Presence::kPresent : Presence::kAbsent;
    if (has) session->answered.insert(record);
  }
  return absl::OkStatus();
}

absl::Status VaultModel::Appended(const PlannedBackup& backup, uint64_t token,
                                  const std::vector<int>& records, const absl::Status& answer) {
  Session* const session = Find(backup, token);
  if (session == nullptr) return ExpectAborted("append", answer);
  session->pending.insert(records.begin(), records.end());
  return answer;
}

absl::Status VaultModel::Synced(const PlannedBackup& backup, const absl::Status& answer) {
  const auto session = sessions_.find(backup.workload);
  if (session == sessions_.end() || session->second.backup != backup)
    return ExpectAborted("sync", answer);
  MakeDurable(session->second);
  return answer;
}

absl::Status VaultModel::Committed(const PlannedBackup& backup, uint64_t token,
                                   const absl::StatusOr<v1::CommitReply>& answer) {
  const auto done = backups_.find(backup);
  if (done != backups_.end() && done->second.state == Backup::kStored) {
    // A repetition, also of a session that is over.
    EMBER_RETURN_IF_ERROR(answer.status());
    return answer->need_size() == 0 && answer->sequence() == done->second.reply.sequence()
               ? absl::OkStatus()
               : Differs("a repeated commit got another answer");
  }
  Session* const session = Find(backup, token);
  if (done != backups_.end() && !answer.ok()) return absl::OkStatus();  // deleted: may be refused
  if (session == nullptr) return ExpectAborted("commit", answer.status());
  EMBER_RETURN_IF_ERROR(answer.status());
  MakeDurable(*session);
  const std::set<std::string> need(answer->need().begin(), answer->need().end());
  for (const int record : RecordsOf(backup)) {
    const bool needs = need.contains(RecordIdOf(record));
    const Presence expected = session->answered.contains(record) ? Presence::kPresent : Of(record);
    if (needs && expected == Presence::kPresent) return Differs("commit: lost record ", record);
    if (!needs && expected == Presence::kAbsent)
      return Differs("commit: does not ask for record ", record);
    records_[record] = needs ? Presence::kAbsent : Presence::kPresent;
  }
  if (!need.empty()) return absl::OkStatus();
  const absl::Time received = rpc::FromTimestamp(answer->received());
  if (answer->sequence() <= sequence_) return Differs("commit: the sequence did not rise");
  if (received <= received_) return Differs("commit: the receive time did not rise");
  sequence_ = answer->sequence();
  received_ = received;
  backups_[backup] = {
      .state = Backup::kStored, .reply = *answer, .deleted = {}, .deleted_by_clock = {}};
  return absl::OkStatus();
}

absl::Status VaultModel::Deleted(const std::vector<PlannedBackup>& backups, bool by_person,
                                 const absl::Status& answer) {
  // The budget of those who are no persons: refusing is right, and then nothing is done.
  if (!by_person && absl::IsFailedPrecondition(answer)) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(answer);
  for (const PlannedBackup& backup : backups) {
    Backup& row = backups_.at(backup);
    if (row.state != Backup::kStored) continue;
    row.state = Backup::kTrashed;
    row.deleted = std::max(highest_, received_);
    row.deleted_by_clock = now_;
  }
  return absl::OkStatus();
}

absl::Status VaultModel::Undeleted(const std::vector<PlannedBackup>& backups,
                                   const absl::Status& answer) {
  EMBER_RETURN_IF_ERROR(answer);
  for (const PlannedBackup& backup : backups) backups_.at(backup).state = Backup::kStored;
  return absl::OkStatus();
}

absl::Status VaultModel::Collected(const absl::StatusOr<v1::VaultResult>& answer) {
  EMBER_RETURN_IF_ERROR(answer.status());
  for (const std::string& id : answer->backups()) {
    EMBER_ASSIGN_OR_RETURN(const PlannedBackup backup, PlannedBackupOf(id));
    const auto row = backups_.find(backup);
    if (row == backups_.end() || row->second.state != Backup::kTrashed)
      return Differs("gc: purged ", id, ", which was not in the trash");
    const absl::Duration in_trash =
        std::max(highest_, received_) - std::min(row->second.deleted, row->second.deleted_by_clock);
    if (in_trash < absl::Hours(24) * kTrashDays)
      return Differs("gc: purged ", id, " after ", absl::FormatDuration(in_trash));
    row->second.state = Backup::kPurged;
  }
  // A session that has not called for so long is taken for abandoned; it may go on, and is told by
  // NEED what is missing.
  for (auto& [workload, session] : sessions_) {
    if (monotonic_ - session.used >= absl::Hours(kSessionLeaseHours)) session.answered.clear();
  }
  const std::set<int> referenced = Referenced();
  for (auto& [record, presence] : records_) {
    if (presence == Presence::kPresent && !referenced.contains(record))
      presence = Presence::kEither;
  }
  return absl::OkStatus();
}

void VaultModel::Restarted() { sessions_.clear(); }

std::set<int> VaultModel::Referenced() const {
  std::set<int> referenced;
  for (const auto& [backup, row] : backups_) {
    if (row.state == Backup::kPurged) continue;
    for (const int record : RecordsOf(backup)) referenced.insert(record);
  }
  for (const auto& [workload, session] : sessions_)
    referenced.insert(session.answered.begin(), session.answered.end());
  return referenced;
}

std::vector<int> VaultModel::Unreferenced() const {
  const std::set<int> referenced = Referenced();
  std::vector<int> rest;
  for (const auto& [record, presence] : records_) {
    if (presence != Presence::kAbsent && !referenced.contains(record)) rest.push_back(record);
  }
  return rest;
}

absl::Status VaultModel::CheckShown(vault::Vault& vault, bool restore) const {
  EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, vault.ListBackups(""));
  std::vector<std::pair<uint64_t, std::string>> shown;
  for (const v1::StoredBackup& item : list.items())
    shown.emplace_back(item.sequence(), item.backup_id());
  std::vector<std::pair<uint64_t, std::string>> expected;
  for (const auto& [backup, row] : backups_) {
    if (row.state == Backup::kStored)
      expected.emplace_back(row.reply.sequence(), BackupIdOf(backup));
  }
  std::sort(expected.begin(), expected.end());
  if (shown != expected) {
    return Differs("list: ", shown.size(), " backups, not the ", expected.size(),
                   " that were committed");
  }
  if (vault.Facts().problem() != "") return Differs("problem: ", vault.Facts().problem());
  for (const auto& [backup, row] : backups_) {
    if (restore && row.state == Backup::kStored)
      EMBER_RETURN_IF_ERROR(CheckRestores(vault, backup));
    const absl::Status got = vault.GetBackup(BackupIdOf(backup)).status();
    if (row.state != Backup::kStored && !absl::IsNotFound(got))
      return Differs(BackupIdOf(backup), " was deleted: ", got.ToString());
  }
  return absl::OkStatus();
}

}  // namespace ember::testing
