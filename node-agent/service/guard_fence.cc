#include "node-agent/service/guard_fence.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "node-agent/service/process.h"

namespace ember::agent {
namespace {

// Leaves the guard's own thread time to do it in its own way.
constexpr absl::Duration kPrecedence = absl::Milliseconds(kGuardPollMillis);

void SignalDescendants(int signal) {
  for (const ProcessIdentity& process : DescendantsOf(getpid()))
    (void)SignalProcess(process, signal);
}

}  // namespace

GuardFence::GuardFence(absl::Duration patience)
    : patience_(patience), thread_([this] { Watch(); }) {}

GuardFence::~GuardFence() {
  {
    absl::MutexLock lock(&mu_);
    over_ = true;
  }
  thread_.join();
}

void GuardFence::SetDeadline(absl::Duration deadline) {
  absl::MutexLock lock(&mu_);
  if (!passed_) deadline_ = deadline;
}

void GuardFence::Stopping() {
  absl::MutexLock lock(&mu_);
  stopping_ = true;
}

bool GuardFence::AwaitPassed(absl::Duration extra) {
  absl::MutexLock lock(&mu_);
  while (!over_) {
    const absl::Duration left = deadline_ + extra - SystemClock()->Monotonic();
    if (left <= absl::ZeroDuration()) return true;
    // Looked at anew, since the deadline may move and the host may have been suspended.
    mu_.AwaitWithTimeout(absl::Condition(&over_),
                         std::min(left, absl::Milliseconds(kGuardPollMillis)));
  }
  return false;
}

void GuardFence::Watch() {
  if (!AwaitPassed(kPrecedence)) return;
  bool stopping;
  {
    absl::MutexLock lock(&mu_);
    stopping = stopping_;
    passed_ = true;
  }
  if (!stopping) SignalDescendants(SIGTERM);
  if (!AwaitPassed(patience_)) return;
  while (true) {
    SignalDescendants(SIGKILL);
    absl::MutexLock lock(&mu_);
    if (mu_.AwaitWithTimeout(absl::Condition(&over_), absl::Milliseconds(kProcessPollMillis)))
      return;
  }
}

}  // namespace ember::agent
