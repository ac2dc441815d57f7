// The journal's last lines of a unit. The only user of sd-journal.
#ifndef EMBER_NODE_AGENT_SERVICE_JOURNAL_H_
#define EMBER_NODE_AGENT_SERVICE_JOURNAL_H_

#include <string>
#include <vector>

namespace ember::agent {

// At most kLogTailLines, printable; empty when there is no journal or it may not be read.
std::vector<std::string> JournalTail(const std::string& unit);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_JOURNAL_H_
