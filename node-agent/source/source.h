// Where data comes from and goes back to. One file per kind; all pass tests/contract/source.
#ifndef EMBER_NODE_AGENT_SOURCE_SOURCE_H_
#define EMBER_NODE_AGENT_SOURCE_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/backup_writer.h"
#include "common/backup/restore_reader.h"
#include "common/files/restore_plan.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/estate.pb.h"

namespace ember::agent {

using files::RestorePlan;

// One workload's data of one kind. Use from one thread.
class Source {
 public:
  virtual ~Source() = default;
  // The roots as Entry.path.
  virtual std::vector<std::string> Roots() const = 0;
  // True when the data is plainly gone: a root is missing, or every root directory is empty.
  virtual bool DataMissing() const = 0;
  // Adds everything to `writer` in path order. What cannot be read becomes a problem. FAILED_PRECONDITION when nothing
  // can be backed up at all (a root is missing).
  virtual absl::Status Read(backup::BackupWriter* writer) = 0;
  // Restores next to the target, then swaps; what was there is kept as a safety copy
  // (`PATH.ember-safety-YYYYMMDD-HHMMSS`). An error before the swap leaves the target untouched.
  virtual absl::StatusOr<v1::RestoreResult> Restore(backup::RestoreReader* reader, const RestorePlan& plan) = 0;
};

// All sources of a workload as one. INVALID_ARGUMENT for a kind this agent does not know.
absl::StatusOr<std::unique_ptr<Source>> OpenSource(const v1::WorkloadSpec& spec);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_SOURCE_H_
