#ifndef EMBER_COMMON_FILES_FILES_RESTORE_H_
#define EMBER_COMMON_FILES_FILES_RESTORE_H_

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/files/restore_plan.h"
#include "ember/v1/agent.pb.h"

namespace ember::files {

// Source::Restore for files: survey, check, write beside the target, swap. Where things go depends
// on the backup's own roots, not on what the estate says today.
absl::StatusOr<v1::RestoreResult> RestoreFiles(backup::RestoreReader* reader,
                                               const RestorePlan& plan);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_FILES_RESTORE_H_
