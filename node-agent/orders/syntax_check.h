// After an in-place restore: are the settings files that came back well formed?
#ifndef EMBER_NODE_AGENT_ORDERS_SYNTAX_CHECK_H_
#define EMBER_NODE_AGENT_ORDERS_SYNTAX_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/backup/restore_reader.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// OK when `text` is JSON (comments are let pass); INVALID_ARGUMENT says that it is not.
absl::Status CheckJson(absl::string_view text);
// OK when `text` is a sequence of YAML documents; INVALID_ARGUMENT names line and problem.
absl::Status CheckYaml(absl::string_view text);

// Reads each *.json, *.yaml and *.yml of the backup (below `paths`, as owners write them; empty:
// all) where it now lies, and adds a warning for each that is not well formed: the first
// kSyntaxCheckFilesMax that are at most kSyntaxCheckBytesMax. What it cannot read it passes over:
// it judges what was restored, not whether it was.
void CheckSyntax(backup::RestoreReader* reader, const std::vector<std::string>& paths,
                 v1::RestoreResult* result);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_SYNTAX_CHECK_H_
