// What a vault demands of requests before it looks at anything else. All INVALID_ARGUMENT.
#ifndef EMBER_COMMON_VAULT_REQUEST_CHECK_H_
#define EMBER_COMMON_VAULT_REQUEST_CHECK_H_

#include "absl/status/status.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

absl::Status CheckOpenSession(const v1::OpenSessionRequest& request);
absl::Status CheckHave(const v1::HaveRequest& request);
absl::Status CheckRecord(const v1::Record& record);
absl::Status CheckCommit(const v1::CommitHeader& header);
// The ids in one message of a commit. Whether all that came make a set, NewRefSet tells.
absl::Status CheckCommitIds(const v1::CommitRequest& request);
absl::Status CheckRead(const v1::ReadRequest& request);
// What another vault says about a backup; the keybox of its session is among its keyboxes.
absl::Status CheckReplica(const v1::StoredBackup& backup);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_REQUEST_CHECK_H_
