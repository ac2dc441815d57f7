#include "node-agent/service/leftovers.h"

#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

bool CarriesMark(pid_t pid, const std::string& run) {
  const absl::StatusOr<std::string> environment = ReadFile(absl::StrCat("/proc/", pid, "/environ"));
  if (!environment.ok() || run.empty()) return false;
  const std::string mark = absl::StrCat(kRunVariable, "=", run);
  const std::string bounded = absl::StrCat(absl::string_view("\0", 1), *environment);
  const std::string wanted =
      absl::StrCat(absl::string_view("\0", 1), mark, absl::string_view("\0", 1));
  return absl::StrContains(bounded, wanted);
}

// Some programs overwrite their environment (to show a title in ps), so the session counts as well.
// Its number is the command's pid and stays taken while a member lives; a leader with another start
// time means that it was free and was taken again by a stranger.
bool InSession(const ProcessInfo& info, const GuardRecord& record) {
  if (record.command.pid <= 0 || info.session != record.command.pid) return false;
  if (info.identity.start_ticks < record.command.start_ticks) return false;
  const absl::StatusOr<ProcessInfo> leader = ReadProcess(record.command.pid);
  return !leader.ok() || leader->identity == record.command;
}

std::vector<ProcessIdentity> FindLeftovers(const GuardRecord& record) {
  std::vector<ProcessIdentity> found;
  for (const ProcessInfo& info : ListProcesses()) {
    if (info.dead || info.identity.pid == getpid() || info.identity.pid == 1) continue;
    if (info.identity == record.command || InSession(info, record) ||
        CarriesMark(info.identity.pid, record.run)) {
      found.push_back(info.identity);
    }
  }
  return found;
}

}  // namespace

absl::Status KillLeftovers(const GuardRecord& record) {
  EMBER_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
  if (boot_id != record.boot_id) return absl::OkStatus();
  const absl::Notification never;
  const absl::Duration until = SystemClock()->Monotonic() + absl::Seconds(kGuardStopMarginSeconds);
  while (true) {
    const std::vector<ProcessIdentity> left = FindLeftovers(record);
    if (left.empty()) return absl::OkStatus();
    for (const ProcessIdentity& process : left) {
      EMBER_RETURN_IF_ERROR(SignalProcess(process, SIGKILL));
    }
    if (SystemClock()->Monotonic() > until) {
      return absl::DeadlineExceededError(
          absl::StrCat("process ", left[0].pid, " does not die after KILL"));
    }
    SystemClock()->Sleep(absl::Milliseconds(kProcessPollMillis), never);
  }
}

}  // namespace ember::agent
