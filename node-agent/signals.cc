#include "node-agent/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

namespace ember::agent {
namespace {

int pipe_ends[2] = {-1, -1};

void Post(char what) {
  const int saved = errno;
  (void)!write(pipe_ends[1], &what, 1);
  errno = saved;
}

void OnSignal(int number) {
  if (number == SIGTERM || number == SIGINT) Post('S');
  if (number == SIGHUP) Post('H');
}

}  // namespace

void CatchSignals() {
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) sigaction(number, &action, nullptr);
}

void PostDuplicate() { Post('D'); }

Wake WaitForWake(absl::Duration timeout) {
  const int64_t millis = std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 0, INT_MAX);
  pollfd waiting = {pipe_ends[0], POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(millis)) <= 0) return Wake::kTimeout;
  char what = 0;
  if (read(pipe_ends[0], &what, 1) != 1) return Wake::kTimeout;
  if (what == 'S') return Wake::kStop;
  return what == 'D' ? Wake::kDuplicate : Wake::kReload;
}

}  // namespace ember::agent
