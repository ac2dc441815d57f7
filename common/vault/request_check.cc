#include "common/vault/request_check.h"

#include <algorithm>

#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/pack.h"

namespace ember::vault {
namespace {

absl::Status Invalid(absl::string_view why) { return absl::InvalidArgumentError(why); }

template <typename Ids>
absl::Status CheckIds(const Ids& ids) {
  for (const std::string& id : ids) {
    if (id.size() != kRecordIdBytes) return Invalid("an id is not 32 bytes");
  }
  return absl::OkStatus();
}

absl::Status CheckBox(absl::string_view what, const std::string& box) {
  if (!box.empty() && box.size() <= kKeyboxBytesMax) return absl::OkStatus();
  return Invalid(absl::StrCat(what, " is empty or larger than ", kKeyboxBytesMax, " bytes"));
}

template <typename Message>  // with recovery boxes and their estate
absl::Status CheckRecoveryBoxes(const Message& message, size_t most) {
  if (message.recovery_boxes_size() > static_cast<int>(most))
    return Invalid(absl::StrCat("more than ", most, " recovery boxes"));
  for (const std::string& box : message.recovery_boxes())
    EMBER_RETURN_IF_ERROR(CheckBox("a recovery box", box));
  return message.estate_id().empty() ? absl::OkStatus()
                                     : ValidateName("estate", message.estate_id());
}

template <typename Message>  // that names a backup and its session
absl::Status CheckNames(const Message& message) {
  EMBER_RETURN_IF_ERROR(ValidateName("domain", message.domain_id()));
  EMBER_RETURN_IF_ERROR(ValidateName("workload", message.workload()));
  EMBER_ASSIGN_OR_RETURN(const BackupIdParts backup, ParseBackupId(message.backup_id()));
  if (backup.workload != message.workload()) return Invalid("the backup id names another workload");
  if (backup.stamp.size() > kNameBytesMax) return Invalid("the backup id is too long");
  if (message.session_id().size() != kSessionIdBytes)
    return Invalid("the session id is not 16 bytes");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOpenSession(const v1::OpenSessionRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckNames(request));
  EMBER_RETURN_IF_ERROR(CheckBox("the keybox", request.keybox()));
  EMBER_RETURN_IF_ERROR(CheckRecoveryBoxes(request, kRecoveryBoxesMax));
  if (!request.parent_root().empty() && request.parent_root().size() != kRecordIdBytes) {
    return Invalid("the parent's root is not 32 bytes");
  }
  return absl::OkStatus();
}

absl::Status CheckHave(const v1::HaveRequest& request) {
  if (request.ids_size() > static_cast<int>(kHaveBatchMax)) {
    return Invalid(absl::StrCat("more than ", kHaveBatchMax, " ids in one question"));
  }
  return CheckIds(request.ids());
}

absl::Status CheckRecord(const v1::Record& record) {
  if (record.id().size() != kRecordIdBytes) return Invalid("a record's id is not 32 bytes");
  if (record.type() == 0 || record.type() > 0xffff) return Invalid("a record has no valid type");
  if (record.payload().empty()) return Invalid("a record has no payload");
  if (record.payload().size() > kRecordBytesMax) {
    return Invalid(absl::StrCat("a record is larger than ", kRecordBytesMax, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckCommit(const v1::CommitHeader& header) {
  if (header.ids_total() > kCommitIdsMax)
    return Invalid(absl::StrCat("a backup of more than ", kCommitIdsMax, " records"));
  if (header.sealed_summary().size() > kSummaryBytesMax) {
    return Invalid(absl::StrCat("the summary is larger than ", kSummaryBytesMax, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckCommitIds(const v1::CommitRequest& request) { return CheckIds(request.ids()); }

absl::Status CheckRead(const v1::ReadRequest& request) {
  if (request.only_session().empty()) return CheckIds(request.ids());
  if (request.only_session().size() != kSessionIdBytes)
    return Invalid("the session id is not 16 bytes");
  return request.ids().empty() ? absl::OkStatus() : Invalid("ids and a session in one request");
}

absl::Status CheckReplica(const v1::StoredBackup& backup) {
  EMBER_RETURN_IF_ERROR(CheckNames(backup));
  EMBER_RETURN_IF_ERROR(CheckRecoveryBoxes(backup, kDomainBoxesMax));
  if (backup.ids_total() > kCommitIdsMax)
    return Invalid(absl::StrCat("a backup of more than ", kCommitIdsMax, " records"));
  bool has_own_key = false;
  for (const v1::Keybox& keybox : backup.keyboxes()) {
    if (keybox.session_id().size() != kSessionIdBytes)
      return Invalid("the session id of a keybox is not 16 bytes");
    EMBER_RETURN_IF_ERROR(CheckBox("a keybox", keybox.sealed()));
    has_own_key = has_own_key || keybox.session_id() == backup.session_id();
  }
  if (!has_own_key) return Invalid("the key of its own session is missing");
  if (backup.vault_id().empty() && backup.origin_vault_id().empty())
    return Invalid("the vault does not say which it is");
  for (const std::string& vault_id : {backup.vault_id(), backup.origin_vault_id()}) {
    if (vault_id.size() > kNameBytesMax) return Invalid("the id of a vault is too long");
  }
  return absl::OkStatus();
}

}  // namespace ember::vault
