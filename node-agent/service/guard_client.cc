#include "node-agent/service/guard_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_record.h"
#include "node-agent/service/leftovers.h"
#include "node-agent/service/spawn.h"

namespace ember::agent {
namespace {

// Real processes live in real time, whatever clock the agent is given.
absl::Duration Now() { return SystemClock()->Monotonic(); }

void Pause() {
  const absl::Notification never;
  SystemClock()->Sleep(absl::Milliseconds(kProcessPollMillis), never);
}

// What the guard says on its standard output until it closes it.
absl::StatusOr<std::string> ReadAnswer(int fd, absl::Duration limit) {
  const absl::Duration until = Now() + limit;
  std::string answer;
  while (true) {
    const absl::Duration left = until - Now();
    if (left <= absl::ZeroDuration())
      return absl::DeadlineExceededError("its guard does not answer");
    pollfd entry = {fd, POLLIN, 0};
    if (poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) <= 0) continue;
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoToStatus(errno, "read the guard's answer");
    if (n == 0) return answer;
    answer.append(buffer, n);
  }
}

// ALREADY_EXISTS when another guard was quicker.
absl::Status LaunchGuard(const ServiceOptions& options) {
  EMBER_ASSIGN_OR_RETURN(PipeEnds answer, MakePipe());
  EMBER_ASSIGN_OR_RETURN(const pid_t pid,
                         Spawn({options.agent_binary, "guard", options.state_directory},
                               answer.write.get(), SpawnStderr::kDiscard));
  answer.write = Fd();
  const absl::StatusOr<std::string> text =
      ReadAnswer(answer.read.get(), absl::Seconds(kGuardReadySeconds));
  // What we started ends at once, or is none of our guards; the guard itself is its child.
  if (!text.ok()) kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  EMBER_RETURN_IF_ERROR(text.status());
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  if (lines[0] == "running") return absl::OkStatus();
  if (absl::StartsWith(lines[0], "busy ")) return absl::AlreadyExistsError("another guard");
  std::string reason, hint;
  absl::CUnescape(absl::StripPrefix(lines[0], "failed "), &reason);
  if (lines.size() > 1) absl::CUnescape(lines[1], &hint);
  if (reason.empty()) reason = "its guard ended without an answer";
  const absl::Status failed = absl::FailedPreconditionError(reason);
  return hint.empty() ? failed : WithHint(failed, hint);
}

// OK with true: a guard runs and needs nothing. OK with false: there is none.
absl::StatusOr<bool> SettledGuard(const std::string& state_directory, absl::Duration patience) {
  const absl::Duration until = Now() + patience + absl::Seconds(kGuardStopMarginSeconds);
  while (true) {
    const absl::StatusOr<GuardRecord> record = ReadGuardRecord(state_directory);
    if (absl::IsNotFound(record.status())) return false;
    EMBER_RETURN_IF_ERROR(record.status());
    if (!GuardLives(*record)) return false;
    if (record->state == GuardState::kRunning) return true;
    if (Now() > until) return absl::DeadlineExceededError("what ran before has not ended yet");
    Pause();  // starting or ending
  }
}

// Ends a guard that lives; afterwards it does not, however it took it.
absl::Status EndGuard(const ProcessIdentity& guard, absl::Duration patience) {
  const absl::StatusOr<Fd> process = OpenProcess(guard);
  if (absl::IsNotFound(process.status())) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(process.status());
  EMBER_RETURN_IF_ERROR(SignalProcess(guard, SIGTERM));
  if (AwaitExit(process->get(), patience + absl::Seconds(kGuardStopMarginSeconds)))
    return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(SignalProcess(guard, SIGKILL));
  if (AwaitExit(process->get(), absl::Seconds(kGuardStopMarginSeconds))) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("guard process ", guard.pid, " does not die after KILL"));
}

// With the guard lock held: nothing runs afterwards, and a guard on its way to the lock finds
// nothing to run.
absl::Status ClearUp(const std::string& state_directory) {
  EMBER_RETURN_IF_ERROR(RemoveFile(JoinPath(state_directory, kCommandFile)));
  absl::StatusOr<GuardRecord> record = ReadGuardRecord(state_directory);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(record.status());
  if (!IsActive(record->state)) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(KillLeftovers(*record));
  record->state = GuardState::kStopped;
  record->exit_status = 128 + SIGKILL;
  record->ended = SystemClock()->Now();
  return WriteGuardRecord(state_directory, *record);
}

}  // namespace

absl::Status EnsureGuard(const v1::ServiceSpec& spec, const ServiceOptions& options,
                         absl::Duration patience) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(options.state_directory));
  const absl::Duration until = Now() + patience + absl::Seconds(kGuardReadySeconds);
  while (true) {
    EMBER_ASSIGN_OR_RETURN(const bool runs, SettledGuard(options.state_directory, patience));
    if (runs) return absl::OkStatus();
    EMBER_RETURN_IF_ERROR(
        WriteFileAtomic(JoinPath(options.state_directory, kCommandFile), spec.SerializeAsString()));
    const absl::Status launched = LaunchGuard(options);
    if (!absl::IsAlreadyExists(launched)) return launched;
    if (Now() > until) return absl::DeadlineExceededError("another guard neither runs nor ends");
    Pause();
  }
}

absl::Status StopGuard(const ServiceOptions& options, absl::Duration patience) {
  const absl::Duration until = Now() + patience + absl::Seconds(3 * kGuardStopMarginSeconds);
  while (true) {
    const absl::StatusOr<GuardRecord> record = ReadGuardRecord(options.state_directory);
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    if (record.ok() && GuardLives(*record))
      EMBER_RETURN_IF_ERROR(EndGuard(record->guard, patience));
    // With the lock no guard lives; without it one is just starting.
    const absl::StatusOr<Fd> lock = LockFile(JoinPath(options.state_directory, kGuardLockFile));
    if (lock.ok()) return ClearUp(options.state_directory);
    if (absl::IsNotFound(lock.status())) return absl::OkStatus();  // no directory: never started
    if (!absl::IsUnavailable(lock.status())) return lock.status();
    if (Now() > until) return absl::DeadlineExceededError("its guard does not end");
    Pause();
  }
}

}  // namespace ember::agent
