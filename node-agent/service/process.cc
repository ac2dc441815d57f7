#include "node-agent/service/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <unordered_set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace ember::agent {

absl::StatusOr<ProcessInfo> ReadProcess(pid_t pid) {
  EMBER_ASSIGN_OR_RETURN(const std::string stat, ReadFile(absl::StrCat("/proc/", pid, "/stat")));
  // The second field is the name in parentheses and may hold anything; the rest starts after the
  // last one.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return absl::NotFoundError(absl::StrCat("process ", pid));
  const std::vector<std::string> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  ProcessInfo info;
  info.identity.pid = pid;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[1], &info.parent) ||
      !absl::SimpleAtoi(fields[3], &info.session) ||
      !absl::SimpleAtoi(fields[19], &info.identity.start_ticks)) {
    return absl::InternalError(absl::StrCat("/proc/", pid, "/stat has not the form of proc(5)"));
  }
  info.dead = fields[0] == "Z" || fields[0] == "X";
  return info;
}

std::vector<ProcessInfo> ListProcesses() {
  std::vector<ProcessInfo> processes;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory("/proc");
  if (!names.ok()) return processes;
  for (const std::string& name : *names) {
    pid_t pid;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    if (absl::StatusOr<ProcessInfo> info = ReadProcess(pid); info.ok()) processes.push_back(*info);
  }
  return processes;
}

std::vector<ProcessIdentity> DescendantsOf(pid_t ancestor) {
  const std::vector<ProcessInfo> all = ListProcesses();
  std::unordered_set<pid_t> family = {ancestor};
  // A child's number may be smaller than its parent's, so repeat until nothing is added.
  for (size_t before = 0; before != family.size();) {
    before = family.size();
    for (const ProcessInfo& info : all) {
      if (family.count(info.parent) > 0) family.insert(info.identity.pid);
    }
  }
  std::vector<ProcessIdentity> descendants;
  for (const ProcessInfo& info : all) {
    const bool below = info.identity.pid != ancestor && family.count(info.identity.pid) > 0;
    if (below && !info.dead) descendants.push_back(info.identity);
  }
  return descendants;
}

bool IsAlive(const ProcessIdentity& process) {
  if (process.pid <= 0) return false;
  const absl::StatusOr<ProcessInfo> info = ReadProcess(process.pid);
  return info.ok() && info->identity == process && !info->dead;
}

// By number: <sys/pidfd.h> of glibc 2.36 does not declare its functions for C++.
Fd OpenPid(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

absl::StatusOr<Fd> OpenProcess(const ProcessIdentity& process) {
  if (process.pid <= 0) return absl::NotFoundError("no process recorded");
  Fd fd = OpenPid(process.pid);
  if (!fd.valid() && errno == ESRCH)
    return absl::NotFoundError(absl::StrCat("process ", process.pid));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("pidfd_open ", process.pid));
  // Checked after the open: from here on the descriptor means this process and no later one.
  if (!IsAlive(process)) return absl::NotFoundError(absl::StrCat("process ", process.pid));
  return fd;
}

absl::Status SignalProcess(const ProcessIdentity& process, int signal) {
  const absl::StatusOr<Fd> fd = OpenProcess(process);
  if (absl::IsNotFound(fd.status())) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(fd.status());
  if (syscall(SYS_pidfd_send_signal, fd->get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return ErrnoToStatus(errno, absl::StrCat("signal process ", process.pid));
  }
  return absl::OkStatus();
}

bool AwaitExit(int pidfd, absl::Duration limit) {
  const absl::Duration until = SystemClock()->Monotonic() + limit;
  while (true) {
    const absl::Duration left = until - SystemClock()->Monotonic();
    const int64_t millis = left > absl::ZeroDuration() ? absl::ToInt64Milliseconds(left) + 1 : 0;
    pollfd entry = {pidfd, POLLIN, 0};
    const int n = poll(&entry, 1, static_cast<int>(millis));
    if (n > 0) return true;
    if (n == 0 && millis == 0) return false;
    if (n < 0 && errno != EINTR) return false;
  }
}

absl::StatusOr<std::string> BootId() {
  EMBER_ASSIGN_OR_RETURN(const std::string id, ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::string(absl::StripAsciiWhitespace(id));
}

}  // namespace ember::agent
