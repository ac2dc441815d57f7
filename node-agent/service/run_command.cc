#include "node-agent/service/run_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/log_tail.h"
#include "node-agent/service/process.h"
#include "node-agent/service/spawn.h"

namespace ember::agent {
namespace {

// A pipe holds 64 KiB (pipe(7)).
constexpr int kPipeReads = (64 << 10) / kProbeOutputBytesMax;

// How soon a cancellation is noticed.
constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);

// Appends what can be read now and keeps the end of it. False when there will be no more.
bool ReadSome(int fd, std::string* output) {
  char buffer[kProbeOutputBytesMax];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  output->append(buffer, n);
  if (output->size() > kProbeOutputBytesMax)
    output->erase(0, output->size() - kProbeOutputBytesMax);
  return n > 0;
}

bool IsSet(const std::atomic<bool>* cancelled) { return cancelled != nullptr && *cancelled; }

// Until the command has ended; false at the time-out, or when cancelled. Its output may stay open
// longer, in the hands of what it started.
bool AwaitCommand(int pidfd, Fd output_pipe, absl::Duration timeout,
                  const std::atomic<bool>* cancelled, std::string* output) {
  const absl::Duration until = SystemClock()->Monotonic() + timeout;
  bool more = true;
  while (true) {
    absl::Duration left = until - SystemClock()->Monotonic();
    if (left <= absl::ZeroDuration() || IsSet(cancelled)) return false;
    if (cancelled != nullptr) left = std::min(left, kCancelPoll);
    pollfd entries[2] = {{pidfd, POLLIN, 0}, {more ? output_pipe.get() : -1, POLLIN, 0}};
    if (poll(entries, 2, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) <= 0) continue;
    if (entries[1].revents != 0) more = ReadSome(output_pipe.get(), output);
    if (entries[0].revents == 0) continue;
    // Ended: what it wrote before fits in the pipe; what others write on is not waited for.
    for (int i = 0; i < kPipeReads && more; ++i) more = ReadSome(output_pipe.get(), output);
    return true;
  }
}

std::string Describe(int wait_status) {
  if (WIFSIGNALED(wait_status)) return absl::StrCat("killed by signal ", WTERMSIG(wait_status));
  return absl::StrCat("exit status ", WEXITSTATUS(wait_status));
}

}  // namespace

absl::StatusOr<std::string> RunCommand(const std::vector<std::string>& command,
                                       absl::Duration timeout, const std::atomic<bool>* cancelled) {
  const std::string name = absl::StrCat("command ", command[0]);
  EMBER_ASSIGN_OR_RETURN(PipeEnds output_pipe, MakePipe());
  if (fcntl(output_pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return ErrnoToStatus(errno, "fcntl");
  const absl::StatusOr<pid_t> pid = Spawn(command, output_pipe.write.get(), SpawnStderr::kToOutput);
  if (!pid.ok()) return absl::UnavailableError(absl::StrCat(name, ": ", pid.status().message()));
  output_pipe.write = Fd();
  std::string output;
  const Fd pidfd = OpenPid(*pid);
  const bool ended = pidfd.valid() && AwaitCommand(pidfd.get(), std::move(output_pipe.read),
                                                   timeout, cancelled, &output);
  // Before it is reaped, so that the number is still its own; what it left in the background goes
  // with it.
  kill(-*pid, SIGKILL);
  int wait_status = 0;
  while (waitpid(*pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  const std::vector<std::string> lines = LastLines(output);
  const std::string last_line = lines.empty() ? "" : lines.back();
  if (ended && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return last_line;
  if (!ended && IsSet(cancelled)) return absl::CancelledError(absl::StrCat(name, ": cancelled"));
  return absl::UnavailableError(absl::StrCat(
      name, ": ",
      ended ? Describe(wait_status) : absl::StrCat("no end within ", absl::FormatDuration(timeout)),
      last_line.empty() ? "" : ": ", last_line));
}

}  // namespace ember::agent
