// Processes by identity: a pid alone may be somebody else's by the time it is used.
#ifndef EMBER_NODE_AGENT_SERVICE_PROCESS_H_
#define EMBER_NODE_AGENT_SERVICE_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/file.h"

namespace ember::agent {

// Unique within one boot: pid and start time in clock ticks, field 22 of /proc/PID/stat (proc(5)).
struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  bool operator==(const ProcessIdentity&) const = default;
};

struct ProcessInfo {
  ProcessIdentity identity;
  pid_t parent = 0;
  pid_t session = 0;
  bool dead = false;  // a zombie: it runs no more, its number is still taken
};

// NOT_FOUND when there is no such process.
absl::StatusOr<ProcessInfo> ReadProcess(pid_t pid);
// Every process this one can see. A process that comes or goes meanwhile may be missing.
std::vector<ProcessInfo> ListProcesses();
// All processes below `ancestor`, zombies left out.
std::vector<ProcessIdentity> DescendantsOf(pid_t ancestor);

bool IsAlive(const ProcessIdentity& process);
// A pidfd of whoever has this number now; for a child that nobody else reaps. Invalid, with errno,
// when that fails.
Fd OpenPid(pid_t pid);
// A pidfd of exactly this process; NOT_FOUND when it is gone.
absl::StatusOr<Fd> OpenProcess(const ProcessIdentity& process);
// OK as well when it is gone. Never reaches another process that has got its number.
absl::Status SignalProcess(const ProcessIdentity& process, int signal);
// Waits until the process behind `pidfd` has ended; false when `limit` passes first.
bool AwaitExit(int pidfd, absl::Duration limit);

// Identifies this boot of the host: after another one no recorded process runs.
absl::StatusOr<std::string> BootId();

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_PROCESS_H_
