#include "node-agent/service/process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "gtest/gtest.h"
#include "node-agent/service/spawn.h"
#include "tests/support/status_matchers.h"

namespace ember::agent {
namespace {

using ::ember::testing::HasCode;

// A child of ours, killed and reaped at the end.
class Child {
 public:
  Child() {
    PipeEnds output = *MakePipe();
    pid_ = *Spawn({"sleep", "1000"}, output.write.get(), SpawnStderr::kDiscard);
  }
  ~Child() { End(); }
  void End() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(Process, IsKnownByItsStartTimeToo) {
  Child child;
  ASSERT_OK_AND_ASSIGN(const ProcessInfo info, ReadProcess(child.pid()));
  EXPECT_EQ(info.parent, getpid());
  EXPECT_TRUE(IsAlive(info.identity));
  ProcessIdentity other = info.identity;
  ++other.start_ticks;
  EXPECT_FALSE(IsAlive(other));
  EXPECT_THAT(OpenProcess(other), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(SignalProcess(other, SIGKILL));
  EXPECT_TRUE(IsAlive(info.identity));
  child.End();
  EXPECT_FALSE(IsAlive(info.identity));
  EXPECT_OK(SignalProcess(info.identity, SIGKILL));
  EXPECT_THAT(ReadProcess(info.identity.pid), HasCode(absl::StatusCode::kNotFound));
}

TEST(Process, NumbersBelowOneAreNobody) {
  EXPECT_FALSE(IsAlive({0, 0}));
  EXPECT_FALSE(IsAlive({-1, 0}));
  EXPECT_OK(SignalProcess({-1, 0}, SIGKILL));  // not "everybody"
}

TEST(Process, AZombieIsNotAlive) {
  Child child;
  ASSERT_OK_AND_ASSIGN(const ProcessInfo info, ReadProcess(child.pid()));
  ASSERT_OK_AND_ASSIGN(const Fd pidfd, OpenProcess(info.identity));
  EXPECT_FALSE(AwaitExit(pidfd.get(), absl::ZeroDuration()));
  ASSERT_OK(SignalProcess(info.identity, SIGKILL));
  EXPECT_TRUE(AwaitExit(pidfd.get(), absl::Seconds(20)));
  EXPECT_FALSE(IsAlive(info.identity));
}

TEST(Process, DescendantsAreFound) {
  Child child;
  const std::vector<ProcessIdentity> family = DescendantsOf(getpid());
  EXPECT_TRUE(std::any_of(family.begin(), family.end(),
                          [&](const ProcessIdentity& one) { return one.pid == child.pid(); }));
  EXPECT_TRUE(DescendantsOf(child.pid()).empty());
}

TEST(Spawn, SaysWhatCannotBeExecuted) {
  ASSERT_OK_AND_ASSIGN(const PipeEnds output, MakePipe());
  EXPECT_THAT(Spawn({"/nonexistent"}, output.write.get(), SpawnStderr::kDiscard),
              HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(Spawn({"/etc/passwd"}, output.write.get(), SpawnStderr::kDiscard),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Spawn({}, output.write.get(), SpawnStderr::kDiscard),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember::agent
