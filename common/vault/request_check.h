// What a vault demands of requests before it looks at anything else. All INVALID_ARGUMENT.
#ifndef EMBER_COMMON_VAULT_REQUEST_CHECK_H_
#define EMBER_COMMON_VAULT_REQUEST_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

absl::Status CheckOpenSession(const v1::OpenSessionRequest& request);
absl::Status CheckHave(const v1::HaveRequest& request);
absl::Status CheckRecord(const v1::Record& record);
// `ids`: 32 bytes each, ascending, as many as the header says, the manifest's root among them.
absl::Status CheckCommit(const v1::CommitHeader& header, const std::vector<std::string>& ids);
absl::Status CheckRead(const v1::ReadRequest& request);
// What another vault says about a backup; the keybox of its session is among its keyboxes.
absl::Status CheckReplica(const v1::StoredBackup& backup);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_REQUEST_CHECK_H_
