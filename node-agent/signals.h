// Signals as bytes in a pipe. Handlers rather than a blocked mask: what the agent starts must not
// inherit one.
#ifndef EMBER_NODE_AGENT_SIGNALS_H_
#define EMBER_NODE_AGENT_SIGNALS_H_

#include "absl/time/time.h"

namespace ember::agent {

enum class Wake { kTimeout, kStop, kReload, kDuplicate };

// Once, before other threads: SIGTERM and SIGINT become kStop, SIGHUP kReload; SIGPIPE does
// nothing.
void CatchSignals();
// Makes WaitForWake return kDuplicate. Any thread.
void PostDuplicate();
Wake WaitForWake(absl::Duration timeout);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SIGNALS_H_
