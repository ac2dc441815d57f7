// The last lines of an output, fit to be shown.
#ifndef EMBER_NODE_AGENT_SERVICE_LOG_TAIL_H_
#define EMBER_NODE_AGENT_SERVICE_LOG_TAIL_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ember::agent {

// `line` without control characters (shown as \xNN) and invalid UTF-8, at most kLogLineBytesMax
// long.
std::string PrintableLine(absl::string_view line);
// The last kLogTailLines lines of `text`, printable, empty ones left out.
std::vector<std::string> LastLines(absl::string_view text);
// Of what the command of this workload printed. What cannot be read is left out.
std::vector<std::string> OutputTail(const std::string& state_directory);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_LOG_TAIL_H_
