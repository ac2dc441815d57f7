#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_command.h"
#include "node-agent/service/guard_fence.h"
#include "node-agent/service/guard_kinds.h"
#include "node-agent/service/output_log.h"

namespace ember::agent {
namespace {

int ExitStatus(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

// One thread, one command. The guard is the reaper of everything below it (PR_SET_CHILD_SUBREAPER),
// so "no child left" means that nothing of the workload lives, daemons it started included.
class ExecGuard {
 public:
  ExecGuard(GuardTask& task, OutputLog log) : task_(task), log_(std::move(log)) {}

  absl::Status Run() {
    EMBER_RETURN_IF_ERROR(Start());
    task_.ready();
    while (!Reap()) {
      Wait();
      if (TermAsked()) BeginStop(GuardState::kStopped, StopTimeout());
      LookAtDeadline();
      if (command_ended_) BeginStop(GuardState::kExited, StopTimeout());
      if (Now() >= kill_at_) Signal(SIGKILL);
      CopyOutput();
    }
    CopyOutput();
    return Finish(outcome_);
  }

 private:
  static absl::Duration Now() { return SystemClock()->Monotonic(); }

  absl::Duration StopTimeout() const {
    const int64_t seconds = task_.spec.exec().stop_timeout_seconds();
    return absl::Seconds(seconds > 0 ? seconds : kStopTimeoutSeconds);
  }

  absl::Status Start() {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return ErrnoToStatus(errno, "prctl");
    StartedCommand started = StartCommand(task_.spec.exec(), task_.record.run);
    command_ = started.pid;
    output_ = std::move(started.output);
    absl::Status status = started.status;
    if (status.ok()) {
      // Before the first wait for a disk. A fork is no business of a process with threads, so not
      // earlier.
      fence_.emplace(std::min(StopTimeout(), absl::Seconds(kSelfFenceKillSeconds)));
      fence_->SetDeadline(deadline_);
      status = RecordRunning();
    }
    if (status.ok()) return status;
    // Nothing may run that is not on record.
    while (command_ > 0 && !Reap()) {
      Signal(SIGKILL);
      Wait();
    }
    if (started.exit_status != 0) task_.record.exit_status = started.exit_status;
    task_.record.reason = std::string(status.message());
    (void)Finish(GuardState::kFailed);  // the answer carries the reason as well
    return status;
  }

  absl::Status RecordRunning() {
    EMBER_ASSIGN_OR_RETURN(const ProcessInfo info, ReadProcess(command_));
    task_.record.command = info.identity;
    task_.record.state = GuardState::kRunning;
    return WriteGuardRecord(task_.state_directory, task_.record);
  }

  // Takes the ended ones; true when nothing is left. The command itself keeps its exit status.
  bool Reap() {
    while (true) {
      int wait_status;
      const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
      if (pid == 0) return false;
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) break;  // ECHILD
      if (pid != command_) continue;
      command_ended_ = true;
      task_.record.exit_status = ExitStatus(wait_status);
    }
    if (outcome_ == GuardState::kRunning) outcome_ = GuardState::kExited;
    return true;
  }

  // Until a signal, output, or the next instant that matters.
  void Wait() {
    const absl::Duration now = Now();
    absl::Duration wait = absl::Milliseconds(kGuardPollMillis);
    if (deadline_ > now) wait = std::min(wait, deadline_ - now);
    wait = std::min(wait, std::max(kill_at_ - now, absl::Milliseconds(kProcessPollMillis)));
    pollfd entries[2] = {{task_.signals, POLLIN, 0}, {output_.get(), POLLIN, 0}};
    poll(entries, 2, static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1);
  }

  bool TermAsked() {
    bool asked = false;
    signalfd_siginfo info;
    while (read(task_.signals, &info, sizeof info) == sizeof info)
      asked |= info.ssi_signo == SIGTERM;
    return asked;
  }

  void LookAtDeadline() {
    if (Now() >= next_look_) {
      // A file that cannot be read leaves the deadline as it was: never a reason to run longer.
      if (const auto deadline = ReadDeadline(task_.state_directory); deadline.ok())
        deadline_ = *deadline;
      fence_->SetDeadline(deadline_);
      next_look_ = Now() + absl::Milliseconds(kGuardPollMillis);
    }
    if (Now() < deadline_) return;
    BeginStop(GuardState::kFenced, std::min(StopTimeout(), absl::Seconds(kSelfFenceKillSeconds)));
  }

  // The first reason counts; a later one may only bring KILL nearer.
  void BeginStop(GuardState why, absl::Duration patience) {
    kill_at_ = std::min(kill_at_, Now() + patience);
    if (outcome_ != GuardState::kRunning) return;
    outcome_ = why;
    Signal(SIGTERM);
    fence_->Stopping();
    task_.record.state = GuardState::kStopping;
    (void)WriteGuardRecord(task_.state_directory,
                           task_.record);  // a full disk must not keep it running
  }

  void Signal(int signal) {
    // Until it is reaped its number is taken, so the group is still the command's.
    if (!command_ended_ && command_ > 0) kill(-command_, signal);
    for (const ProcessIdentity& process : DescendantsOf(getpid())) {
      const bool in_group = !command_ended_ && getpgid(process.pid) == command_;
      if (!in_group) (void)SignalProcess(process, signal);
    }
    // A stopped process acts on TERM only once it goes on.
    if (signal == SIGTERM && !command_ended_) kill(-command_, SIGCONT);
  }

  void CopyOutput() {
    char buffer[64 << 10];
    for (size_t copied = 0; output_.valid() && copied < kGuardReadBytes;) {
      const ssize_t n = read(output_.get(), buffer, sizeof buffer);
      if (n < 0) return;           // nothing now
      if (n == 0) output_ = Fd();  // all writers are gone
      if (n > 0) log_.Append(absl::string_view(buffer, n));
      copied += n;
    }
  }

  absl::Status Finish(GuardState state) {
    task_.record.state = state;
    task_.record.ended = SystemClock()->Now();
    return WriteGuardRecord(task_.state_directory, task_.record);
  }

  GuardTask& task_;
  std::optional<GuardFence> fence_;  // once the command runs
  OutputLog log_;
  Fd output_;
  pid_t command_ = 0;
  bool command_ended_ = false;
  GuardState outcome_ = GuardState::kRunning;
  absl::Duration deadline_ = task_.deadline;
  absl::Duration next_look_ = absl::ZeroDuration();
  absl::Duration kill_at_ = absl::InfiniteDuration();
};

}  // namespace

absl::Status RunExecGuard(GuardTask& task) {
  absl::StatusOr<OutputLog> log = OutputLog::Open(task.state_directory);
  if (!log.ok()) {
    task.record.state = GuardState::kFailed;
    task.record.reason = std::string(log.status().message());
    (void)WriteGuardRecord(task.state_directory, task.record);
    return log.status();
  }
  return ExecGuard(task, *std::move(log)).Run();
}

}  // namespace ember::agent
