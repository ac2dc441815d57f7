// What a guard and the agent tell each other through the state directory of one workload:
//   command.pb   what to run (ServiceSpec), written by the agent before it starts a guard
//   guard.lock   held by the guard while it lives: there are never two of one workload
//   status       the guard's record, replaced as a whole
//   deadline     the instant to stop at, replaced by the agent
//   output.log   what the command printed, and output.log.1 before it
#ifndef EMBER_NODE_AGENT_SERVICE_GUARD_RECORD_H_
#define EMBER_NODE_AGENT_SERVICE_GUARD_RECORD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "node-agent/service/process.h"

namespace ember::agent {

inline constexpr char kCommandFile[] = "command.pb";
inline constexpr char kGuardLockFile[] = "guard.lock";
inline constexpr char kStatusFile[] = "status";
inline constexpr char kDeadlineFile[] = "deadline";
inline constexpr char kOutputFile[] = "output.log";
inline constexpr char kOlderOutputFile[] = "output.log.1";
// In the environment of the command and so of what it starts: finds them when their guard is gone.
inline constexpr char kRunVariable[] = "EMBER_RUN";

enum class GuardState {
  kStarting,  // nothing of the command runs yet, or it does and is about to be recorded
  kRunning,
  kStopping,  // something of it may still live
  kExited,    // by itself
  kStopped,   // by the agent's order
  kFenced,    // its deadline passed
  kFailed,    // the command could not be executed
};

struct GuardRecord {
  GuardState state = GuardState::kStarting;
  std::string boot_id;
  std::string run;  // value of kRunVariable
  ProcessIdentity guard;
  ProcessIdentity command;  // pid 0 for a guard that only watches a deadline
  int exit_status = 0;      // code, or 128 + signal
  absl::Time started = absl::UnixEpoch();
  absl::Time ended = absl::UnixEpoch();
  std::string reason;
};

// Whether the guard or its command may be alive, as far as the record goes.
bool IsActive(GuardState state);
// Whether the guard lives: same boot, same pid, same start time.
bool GuardLives(const GuardRecord& record);

// NOT_FOUND before the first start; DATA_LOSS when the file is not one of ours.
absl::StatusOr<GuardRecord> ReadGuardRecord(const std::string& state_directory);
absl::Status WriteGuardRecord(const std::string& state_directory, const GuardRecord& record);

// On CLOCK_BOOTTIME. InfiniteFuture when there is none, or only one of another boot.
absl::StatusOr<absl::Duration> ReadDeadline(const std::string& state_directory);
// InfiniteFuture removes it. Not synced to disk: a deadline means nothing after a power loss, and
// it is replaced every few seconds.
absl::Status WriteDeadline(const std::string& state_directory, absl::Duration deadline);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_GUARD_RECORD_H_
