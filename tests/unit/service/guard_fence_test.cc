#include "node-agent/service/guard_fence.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "gtest/gtest.h"
#include "node-agent/service/process.h"
#include "node-agent/service/spawn.h"
#include "tests/support/status_matchers.h"

namespace ember::agent {
namespace {

absl::Duration Now() { return SystemClock()->Monotonic(); }

// A child of ours that runs a shell script and has got as far as its "ready".
class Script {
 public:
  explicit Script(const std::string& script) {
    PipeEnds output = *MakePipe();
    pid_ = *Spawn({"sh", "-c", script}, output.write.get(), SpawnStderr::kDiscard);
    char ready[6];
    EXPECT_EQ(read(output.read.get(), ready, sizeof ready), 6);
    pidfd_ = OpenPid(pid_);
  }
  ~Script() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  bool EndsWithin(absl::Duration limit) { return AwaitExit(pidfd_.get(), limit); }
  int WaitStatus() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
  Fd pidfd_;
};

TEST(GuardFence, SendsTermAtTheDeadline) {
  Script script("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  GuardFence fence(absl::Seconds(30));
  fence.SetDeadline(Now());
  ASSERT_TRUE(script.EndsWithin(absl::Seconds(10)));
  EXPECT_EQ(WEXITSTATUS(script.WaitStatus()), 7);
}

TEST(GuardFence, KillsWhatIgnoresIt) {
  Script script("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  GuardFence fence(absl::Milliseconds(100));
  fence.SetDeadline(Now());
  ASSERT_TRUE(script.EndsWithin(absl::Seconds(10)));
  EXPECT_EQ(WTERMSIG(script.WaitStatus()), SIGKILL);
}

TEST(GuardFence, SendsNoSecondTerm) {
  Script script("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  GuardFence fence(absl::Milliseconds(300));
  fence.Stopping();
  fence.SetDeadline(Now());
  ASSERT_TRUE(script.EndsWithin(absl::Seconds(10)));
  EXPECT_EQ(WTERMSIG(script.WaitStatus()), SIGKILL);
}

TEST(GuardFence, ALaterDeadlineLetsItRun) {
  Script script("echo ready; exec sleep 1000");
  GuardFence fence(absl::ZeroDuration());
  fence.SetDeadline(Now() + absl::Milliseconds(100));
  fence.SetDeadline(Now() + absl::Hours(1));
  EXPECT_FALSE(script.EndsWithin(absl::Milliseconds(1200)));
}

TEST(GuardFence, WithoutADeadlineItDoesNothing) {
  Script script("echo ready; exec sleep 1000");
  { GuardFence fence(absl::ZeroDuration()); }
  EXPECT_FALSE(script.EndsWithin(absl::ZeroDuration()));
}

}  // namespace
}  // namespace ember::agent
