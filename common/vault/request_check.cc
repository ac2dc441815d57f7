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

absl::Status CheckRecoveryBoxes(const v1::OpenSessionRequest& request) {
  if (request.recovery_boxes_size() > static_cast<int>(kRecoveryBoxesMax))
    return Invalid(absl::StrCat("more than ", kRecoveryBoxesMax, " recovery boxes"));
  for (const std::string& box : request.recovery_boxes()) {
    if (box.empty() || box.size() > kKeyboxBytesMax) {
      return Invalid(
          absl::StrCat("a recovery box is empty or larger than ", kKeyboxBytesMax, " bytes"));
    }
  }
  return request.estate_id().empty() ? absl::OkStatus()
                                     : ValidateName("estate", request.estate_id());
}

}  // namespace

absl::Status CheckOpenSession(const v1::OpenSessionRequest& request) {
  EMBER_RETURN_IF_ERROR(ValidateName("domain", request.domain_id()));
  EMBER_RETURN_IF_ERROR(ValidateName("workload", request.workload()));
  EMBER_ASSIGN_OR_RETURN(const BackupIdParts backup, ParseBackupId(request.backup_id()));
  if (backup.workload != request.workload()) return Invalid("the backup id names another workload");
  if (backup.stamp.size() > kNameBytesMax) return Invalid("the backup id is too long");
  if (request.session_id().size() != kSessionIdBytes)
    return Invalid("the session id is not 16 bytes");
  if (request.keybox().empty() || request.keybox().size() > kKeyboxBytesMax) {
    return Invalid(absl::StrCat("the keybox is empty or larger than ", kKeyboxBytesMax, " bytes"));
  }
  EMBER_RETURN_IF_ERROR(CheckRecoveryBoxes(request));
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

absl::Status CheckCommit(const v1::CommitHeader& header, const std::vector<std::string>& ids) {
  if (ids.size() > kCommitIdsMax)
    return Invalid(absl::StrCat("a backup of more than ", kCommitIdsMax, " records"));
  if (header.ids_total() != ids.size()) {
    return Invalid(
        absl::StrCat("the header announces ", header.ids_total(), " ids, ", ids.size(), " came"));
  }
  if (header.sealed_summary().size() > kSummaryBytesMax) {
    return Invalid(absl::StrCat("the summary is larger than ", kSummaryBytesMax, " bytes"));
  }
  EMBER_RETURN_IF_ERROR(CheckIds(ids));
  const auto unsorted = std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>());
  if (unsorted != ids.end()) return Invalid("the ids are not in ascending order, each once");
  // The root keeps everything else alive: a set without it could not be restored from.
  if (!std::binary_search(ids.begin(), ids.end(), header.manifest_root())) {
    return Invalid("the manifest's root is not among the ids");
  }
  return absl::OkStatus();
}

absl::Status CheckRead(const v1::ReadRequest& request) {
  if (request.only_session().empty()) return CheckIds(request.ids());
  if (request.only_session().size() != kSessionIdBytes)
    return Invalid("the session id is not 16 bytes");
  return request.ids().empty() ? absl::OkStatus() : Invalid("ids and a session in one request");
}

}  // namespace ember::vault
