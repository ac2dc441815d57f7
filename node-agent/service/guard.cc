#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_kinds.h"
#include "node-agent/service/leftovers.h"
#include "node-agent/service/service.h"
#include "node-agent/service/spawn.h"

namespace ember::agent {
namespace {

// The lock may be held for an instant by an agent that clears up; only a guard holds it for long.
absl::StatusOr<Fd> TakeGuardLock(const std::string& state_directory) {
  const absl::Notification never;
  const absl::Duration until = SystemClock()->Monotonic() + absl::Seconds(kGuardStopMarginSeconds);
  while (true) {
    absl::StatusOr<Fd> lock = LockFile(JoinPath(state_directory, kGuardLockFile));
    if (!absl::IsUnavailable(lock.status())) return lock;
    const absl::StatusOr<GuardRecord> record = ReadGuardRecord(state_directory);
    if ((record.ok() && GuardLives(*record)) || SystemClock()->Monotonic() > until) {
      return absl::AlreadyExistsError("another guard runs already");
    }
    SystemClock()->Sleep(absl::Milliseconds(kProcessPollMillis), never);
  }
}

absl::StatusOr<GuardRecord> NewRecord() {
  GuardRecord record;
  EMBER_ASSIGN_OR_RETURN(record.boot_id, BootId());
  EMBER_ASSIGN_OR_RETURN(const ProcessInfo self, ReadProcess(getpid()));
  record.guard = self.identity;
  char random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random)
    return ErrnoToStatus(errno, "getrandom");
  record.run = absl::BytesToHexString(absl::string_view(random, sizeof random));
  record.started = SystemClock()->Now();
  return record;
}

absl::StatusOr<Fd> CatchSignals() {
  sigset_t caught;
  sigemptyset(&caught);
  sigaddset(&caught, SIGTERM);
  sigaddset(&caught, SIGCHLD);
  if (sigprocmask(SIG_SETMASK, &caught, nullptr) != 0) return ErrnoToStatus(errno, "sigprocmask");
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  Fd fd(signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoToStatus(errno, "signalfd");
  return fd;
}

// The answer to who started us: one line on standard output, which then leads nowhere.
void Answer(absl::string_view line) {
  (void)WriteAll(STDOUT_FILENO, absl::StrCat(line, "\n"), "answer");
  (void)RedirectToNull(STDOUT_FILENO);
}

absl::Status Guard(const std::string& state_directory) {
  EMBER_ASSIGN_OR_RETURN(const Fd lock, TakeGuardLock(state_directory));
  EMBER_ASSIGN_OR_RETURN(const Fd signals, CatchSignals());
  const absl::StatusOr<GuardRecord> before = ReadGuardRecord(state_directory);
  if (!before.ok() && !absl::IsNotFound(before.status())) return before.status();
  // Nothing may ever run twice: what an earlier guard left behind when it was killed goes first.
  if (before.ok() && IsActive(before->state)) EMBER_RETURN_IF_ERROR(KillLeftovers(*before));

  GuardTask task;
  task.state_directory = state_directory;
  task.signals = signals.get();
  task.ready = [] { Answer("running"); };
  EMBER_ASSIGN_OR_RETURN(const std::string spec, ReadFile(JoinPath(state_directory, kCommandFile)));
  if (!task.spec.ParseFromString(spec)) return Damaged(kCommandFile, "not a service");
  EMBER_ASSIGN_OR_RETURN(task.deadline, ReadDeadline(state_directory));
  if (task.deadline <= SystemClock()->Monotonic()) {
    return absl::FailedPreconditionError("the instant at which it had to stop has passed");
  }
  EMBER_ASSIGN_OR_RETURN(task.record, NewRecord());
  EMBER_RETURN_IF_ERROR(WriteGuardRecord(state_directory, task.record));
  switch (task.spec.kind_case()) {
    case v1::ServiceSpec::kExec: return RunExecGuard(task);
    case v1::ServiceSpec::kSystemd: return RunSystemdGuard(task);
    case v1::ServiceSpec::kNone:
    case v1::ServiceSpec::KIND_NOT_SET: break;
  }
  return Damaged(kCommandFile, "a kind of service without a guard");
}

}  // namespace

int RunGuard(const std::string& state_directory) {
  // A path that stays right whatever the directory we are started in, which we do not keep busy.
  char* resolved = realpath(state_directory.c_str(), nullptr);
  const std::string directory = resolved == nullptr ? state_directory : resolved;
  free(resolved);
  // A daemon: who started us gets an answer on standard output, and a child that ends at once.
  const pid_t child = fork();
  if (child != 0) return child > 0 ? 0 : 1;
  setsid();
  umask(022);
  absl::Status status = chdir("/") == 0 ? Guard(directory) : ErrnoToStatus(errno, "chdir /");
  if (status.ok()) return 0;
  Answer(absl::StrCat(absl::IsAlreadyExists(status) ? "busy " : "failed ",
                      absl::CEscape(status.message()), "\n", absl::CEscape(HintOf(status))));
  return 1;
}

}  // namespace ember::agent
