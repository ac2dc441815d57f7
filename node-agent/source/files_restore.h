#ifndef EMBER_NODE_AGENT_SOURCE_FILES_RESTORE_H_
#define EMBER_NODE_AGENT_SOURCE_FILES_RESTORE_H_

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/source/source.h"

namespace ember::agent {

// Source::Restore for files: survey, check, write beside the target, swap. Where things go depends
// on the backup's own roots, not on what the estate says today.
absl::StatusOr<v1::RestoreResult> RestoreFiles(backup::RestoreReader* reader,
                                               const RestorePlan& plan);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_FILES_RESTORE_H_
