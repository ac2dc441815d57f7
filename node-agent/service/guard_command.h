// The command of a guard: its account, environment and directory, and its first instruction.
#ifndef EMBER_NODE_AGENT_SERVICE_GUARD_COMMAND_H_
#define EMBER_NODE_AGENT_SERVICE_GUARD_COMMAND_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "common/base/file.h"
#include "ember/v1/estate.pb.h"

namespace ember::agent {

struct StartedCommand {
  pid_t pid = 0;        // 0 when nothing was forked; else a child to reap, even after an error
  Fd output;            // non-blocking read end of its standard output and standard error
  int exit_status = 0;  // after an error, as a shell reports it: 127 not found, 126 otherwise
  absl::Status status;
};

// Forks the command into a session of its own, with a clean environment (PATH, HOME, LANG, USER,
// LOGNAME, `run` in kRunVariable, then the given ones), and returns when it was executed. It gets
// SIGKILL when the calling thread ends. Only from a process with one thread.
StartedCommand StartCommand(const v1::ExecService& spec, const std::string& run);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_GUARD_COMMAND_H_
