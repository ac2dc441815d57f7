#include "tests/support/vault_client.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "tests/support/pieces.h"

namespace ember::testing {
namespace {

constexpr int64_t kStamp = 1767225600;  // 2026-01-01
constexpr size_t kIdBytes = 32;
constexpr size_t kSessionBytes = 16;

absl::Status Wrong(const PlannedBackup& backup, absl::string_view what) {
  return absl::InternalError(absl::StrCat(BackupIdOf(backup), ": ", what));
}

v1::CommitHeader HeaderFor(const std::vector<std::string>& ids) {
  v1::CommitHeader header;
  if (!ids.empty()) header.set_manifest_root(ids[0]);
  header.set_sealed_summary("sealed summary");
  header.set_summary_nonce(7);
  header.set_ids_total(ids.size());
  return header;
}

std::vector<int> NumbersOf(const PlannedBackup& backup, const std::vector<std::string>& ids) {
  const std::set<std::string> wanted(ids.begin(), ids.end());
  std::vector<int> numbers;
  for (const int record : RecordsOf(backup)) {
    if (wanted.contains(RecordIdOf(record))) numbers.push_back(record);
  }
  return numbers;
}

}  // namespace

std::string BackupIdOf(const PlannedBackup& backup) {
  return BackupId(backup.workload, absl::FromUnixSeconds(kStamp), backup.number);
}

absl::StatusOr<PlannedBackup> PlannedBackupOf(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const BackupIdParts parts, ParseBackupId(backup_id));
  PlannedBackup backup{.workload = parts.workload};
  if (!absl::SimpleAtoi(parts.stamp.substr(parts.stamp.rfind('-') + 1), &backup.number) ||
      BackupIdOf(backup) != backup_id) {
    return absl::InvalidArgumentError(absl::StrCat("not a planned backup: ", backup_id));
  }
  return backup;
}

std::string SessionIdOf(const PlannedBackup& backup) {
  return Sha256(absl::StrCat("session ", BackupIdOf(backup))).substr(0, kSessionBytes);
}

std::string KeyboxOf(const PlannedBackup& backup) {
  return absl::StrCat("keybox ", BackupIdOf(backup));
}

std::string RecoveryBoxOf(const PlannedBackup& backup) {
  return absl::StrCat("recovery box of ", backup.workload);
}

std::vector<int> RecordsOf(const PlannedBackup& backup) {
  const int workload = backup.workload.back() - '0';
  std::vector<int> records;
  for (int i = 0; i < 10; ++i) records.push_back(backup.number * 6 + i);
  for (int i = 0; i < 5; ++i) records.push_back(100000 * (workload + 1) + backup.number * 3 + i);
  return records;
}

std::string RecordIdOf(int record) { return Sha256(absl::StrCat("record ", record)); }

std::string PayloadOf(int record) {
  return absl::StrCat("sealed ", record, std::string(static_cast<size_t>(record % 50) * 11, 's'));
}

std::vector<std::string> SortedIdsOf(const std::vector<int>& records) {
  std::vector<std::string> ids;
  for (const int record : records) ids.push_back(RecordIdOf(record));
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::StatusOr<VaultClient> VaultClient::Open(vault::Vault& vault, const PlannedBackup& backup,
                                              uint64_t epoch) {
  v1::OpenSessionRequest request;
  request.set_vault("nas");
  request.set_domain_id(kClientDomain);
  request.set_workload(backup.workload);
  request.set_backup_id(BackupIdOf(backup));
  request.set_session_id(SessionIdOf(backup));
  request.set_keybox(KeyboxOf(backup));
  request.add_recovery_boxes(RecoveryBoxOf(backup));
  request.set_epoch(epoch);
  v1::Grant grant;
  grant.set_hold_seconds(backup.hold_seconds);
  request.mutable_grant()->set_statement(grant.SerializeAsString());
  EMBER_ASSIGN_OR_RETURN(const v1::OpenSessionReply reply, vault.OpenSession(kClientNode, request));
  return VaultClient(vault, backup, reply.token());
}

absl::StatusOr<std::vector<int>> VaultClient::Absent(const std::vector<int>& records) {
  v1::HaveRequest request;
  request.set_session_id(SessionIdOf(backup_));
  request.set_token(token_);
  for (const int record : records) request.add_ids(RecordIdOf(record));
  EMBER_ASSIGN_OR_RETURN(const v1::HaveReply reply, vault_->Have(kClientNode, request));
  std::vector<int> absent;
  for (size_t i = 0; i < records.size(); ++i) {
    if (reply.absent()[i] != 0) absent.push_back(records[i]);
  }
  return absent;
}

absl::Status VaultClient::Append(const std::vector<int>& records) {
  v1::UploadRequest request;
  request.set_session_id(SessionIdOf(backup_));
  request.set_token(token_);
  for (const int number : records) {
    v1::Record* record = request.add_records();
    record->set_id(RecordIdOf(number));
    record->set_type(1);
    record->set_nonce(static_cast<uint64_t>(number));
    record->set_payload(PayloadOf(number));
  }
  return vault_->Append(kClientNode, request);
}

absl::Status VaultClient::Sync() { return vault_->Sync(SessionIdOf(backup_)).status(); }

absl::StatusOr<v1::CommitReply> VaultClient::Commit(const std::vector<int>& records) {
  const std::vector<std::string> ids = SortedIdsOf(records);
  return vault_->Commit(kClientNode, SessionIdOf(backup_), token_, HeaderFor(ids), PiecesOf(ids));
}

absl::StatusOr<v1::CommitReply> BackUp(VaultClient& client, const BackUpOptions& options) {
  const PlannedBackup& backup = client.backup();
  std::vector<int> to_send;
  if (!options.careless) {
    EMBER_ASSIGN_OR_RETURN(to_send, client.Absent(RecordsOf(backup)));
  }
  for (int attempt = 0; attempt < 3; ++attempt) {
    for (size_t begin = 0; begin < to_send.size(); begin += options.sync_every) {
      const size_t end = std::min(to_send.size(), begin + options.sync_every);
      EMBER_RETURN_IF_ERROR(client.Append({to_send.begin() + begin, to_send.begin() + end}));
      if (end < to_send.size()) EMBER_RETURN_IF_ERROR(client.Sync());
    }
    EMBER_ASSIGN_OR_RETURN(const v1::CommitReply reply, client.Commit(RecordsOf(backup)));
    if (reply.need_size() == 0) return reply;
    to_send = NumbersOf(backup, {reply.need().begin(), reply.need().end()});
  }
  return Wrong(backup, "the vault asks again for what it was sent");
}

namespace {

absl::Status CheckRefs(vault::Vault& vault, const PlannedBackup& backup,
                       const v1::StoredBackup& stored) {
  std::string ids;
  EMBER_RETURN_IF_ERROR(vault.ReadRefs(stored.backup_id(), [&ids](absl::string_view piece) {
    absl::StrAppend(&ids, piece);
    return absl::OkStatus();
  }));
  std::string expected;
  for (const std::string& each : SortedIdsOf(RecordsOf(backup))) expected += each;
  if (ids != expected || stored.ids_total() * kIdBytes != ids.size())
    return Wrong(backup, "its reference set is not what was committed");
  return absl::OkStatus();
}

// `sessions`: those with a keybox.
absl::Status CheckRecords(vault::Vault& vault, const PlannedBackup& backup,
                          const std::set<std::string>& sessions, const std::set<int>& damaged) {
  const std::vector<int> records = RecordsOf(backup);
  v1::ReadRequest request;
  for (const std::string& each : SortedIdsOf(records)) request.add_ids(each);
  std::map<std::string, v1::Record> read;
  std::map<std::string, std::string> problems;
  EMBER_RETURN_IF_ERROR(vault.Read(request, "", [&](v1::ReadReply&& reply) {
    for (v1::Record& record : *reply.mutable_records()) read[record.id()] = std::move(record);
    for (const v1::ReadProblem& row : reply.problems()) problems[row.id()] = row.problem();
    return absl::OkStatus();
  }));
  for (const int record : records) {
    const std::string id = RecordIdOf(record);
    const auto found = read.find(id);
    const auto problem = problems.find(id);
    if (problem != problems.end()) {
      if (damaged.contains(record)) continue;
      return Wrong(backup, absl::StrCat("record ", record, " cannot be read: ", problem->second));
    }
    if (found == read.end()) return Wrong(backup, absl::StrCat("record ", record, " is missing"));
    if (found->second.payload() != PayloadOf(record))
      return Wrong(backup, absl::StrCat("record ", record, " came back changed"));
    if (!sessions.contains(found->second.session_id()))
      return Wrong(backup, absl::StrCat("record ", record, " has no keybox"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRestores(vault::Vault& vault, const PlannedBackup& backup,
                           const std::set<int>& damaged) {
  EMBER_ASSIGN_OR_RETURN(const v1::StoredBackup stored, vault.GetBackup(BackupIdOf(backup)));
  if (stored.session_id() != SessionIdOf(backup)) return Wrong(backup, "made by another session");
  std::set<std::string> boxes;
  for (const v1::Keybox& box : stored.keyboxes()) {
    if (!box.sealed().empty()) boxes.insert(box.session_id());
  }
  if (std::find(stored.recovery_boxes().begin(), stored.recovery_boxes().end(),
                RecoveryBoxOf(backup)) == stored.recovery_boxes().end()) {
    return Wrong(backup, "its recovery box is missing");
  }
  EMBER_RETURN_IF_ERROR(CheckRefs(vault, backup, stored));
  return CheckRecords(vault, backup, boxes, damaged);
}

}  // namespace ember::testing
