#ifndef EMBER_NODE_AGENT_SOURCE_FILES_SOURCE_H_
#define EMBER_NODE_AGENT_SOURCE_FILES_SOURCE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "ember/v1/estate.pb.h"
#include "node-agent/source/source.h"

namespace ember::agent {

// Directories and files of this host; all of a workload's `files` sources as one, so that their
// entries come in one order. A root listed twice is read once and leaves out only what every
// listing excludes. INVALID_ARGUMENT for a path that is not absolute.
absl::StatusOr<std::unique_ptr<Source>> OpenFilesSource(const std::vector<v1::FilesSource>& specs);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_FILES_SOURCE_H_
