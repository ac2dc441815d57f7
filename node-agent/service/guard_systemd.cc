#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_kinds.h"
#include "node-agent/service/systemd_unit.h"

namespace ember::agent {
namespace {

bool WaitForTerm(int signals, absl::Duration limit) {
  pollfd entry = {signals, POLLIN, 0};
  poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)) + 1);
  bool asked = false;
  signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) asked |= info.ssi_signo == SIGTERM;
  return asked;
}

// Until the unit is down, whatever it takes: nobody else may be left to do it.
void Fence(const SystemdUnit& unit, int signals) {
  const absl::Status stopped = unit.Stop(absl::Seconds(kSelfFenceKillSeconds));
  while (true) {
    const absl::StatusOr<UnitState> state = unit.State();
    if (state.ok() && !state->running) return;
    if (absl::IsNotFound(state.status())) return;
    // The job to stop goes on in systemd; this hastens it. Asked again in case the job was lost.
    (void)unit.Kill(SIGKILL);
    (void)unit.Stop(absl::Milliseconds(kGuardPollMillis));
    WaitForTerm(signals, absl::Milliseconds(kProcessPollMillis));
  }
}

}  // namespace

absl::Status RunSystemdGuard(GuardTask& task) {
  const SystemdUnit unit(task.spec.systemd());
  task.record.state = GuardState::kRunning;
  EMBER_RETURN_IF_ERROR(WriteGuardRecord(task.state_directory, task.record));
  task.ready();
  absl::Duration deadline = task.deadline;
  bool asked = false;
  while (!asked) {
    // A file that cannot be read leaves the deadline as it was: never a reason to let the unit run
    // longer.
    if (const auto read = ReadDeadline(task.state_directory); read.ok()) deadline = *read;
    const absl::Duration left = deadline - SystemClock()->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    asked = WaitForTerm(task.signals, std::min(left, absl::Milliseconds(kGuardPollMillis)));
  }
  if (!asked) {
    task.record.state = GuardState::kStopping;
    (void)WriteGuardRecord(task.state_directory, task.record);
    Fence(unit, task.signals);
  }
  task.record.state = asked ? GuardState::kStopped : GuardState::kFenced;
  task.record.ended = SystemClock()->Now();
  return WriteGuardRecord(task.state_directory, task.record);
}

}  // namespace ember::agent
