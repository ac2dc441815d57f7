// The error catalogue: what went wrong, why, and what to do next, for errors that reach a person.
// An error is an absl::Status whose message is "what: why" and whose hint travels as a payload (and over gRPC, see
// common/rpc/convert.h), so that the CLI can print its three lines.
#ifndef EMBER_COMMON_BASE_ERRORS_H_
#define EMBER_COMMON_BASE_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ember {

// Attaches `hint` ("what to do next") to a status. OK stays OK.
absl::Status WithHint(absl::Status status, absl::string_view hint);
// The hint, or "" when there is none.
std::string HintOf(const absl::Status& status);

// One function per error. The code decides the exit code of `ember` (cli/exit_code.h).
absl::Status NodeNotFound(absl::string_view node);
absl::Status WorkloadNotFound(absl::string_view workload);
absl::Status BackupNotFound(absl::string_view id);
absl::Status BackupAmbiguous(absl::string_view id, absl::string_view candidates);
absl::Status RecoveryNotFound(absl::string_view id);
absl::Status RunNotFound(absl::string_view id);
absl::Status VaultNotFound(absl::string_view vault);
absl::Status NeedsConfirmation(absl::string_view what);             // FAILED_PRECONDITION, hint: --yes
absl::Status PeerRefused(absl::string_view who, absl::string_view why);  // PERMISSION_DENIED
absl::Status TokenRefused(absl::string_view why);                   // UNAUTHENTICATED
absl::Status EmUnreachable(absl::string_view address, absl::string_view why);  // UNAVAILABLE
absl::Status StateDirEmpty(absl::string_view directory);
absl::Status StateDirInUse(absl::string_view directory);
absl::Status DiskFull(absl::string_view what);                      // RESOURCE_EXHAUSTED
absl::Status Damaged(absl::string_view what, absl::string_view why);  // DATA_LOSS
// Made by Damaged, in this process: what is stored is bad. Other DATA_LOSS may be a disk of this host that fails.
bool IsDamaged(const absl::Status& status);
absl::Status NoGoodBackup(absl::string_view workload);
absl::Status TargetNotEmpty(absl::string_view directory);           // FAILED_PRECONDITION

}  // namespace ember

#endif  // EMBER_COMMON_BASE_ERRORS_H_
