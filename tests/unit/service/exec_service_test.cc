// What exec services promise beyond the contract of services: real processes, really killed.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node-agent/service/guard_record.h"
#include "node-agent/service/process.h"
#include "node-agent/service/service.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using ::ember::testing::Eventually;
using ::ember::testing::HasCode;
using ::ember::testing::HasCodeAndText;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// All a shell command prints.
absl::StatusOr<std::string> OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::InternalError("popen");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  pclose(pipe);
  return output;
}

class ExecServiceTest : public ::testing::Test {
 protected:
  ExecServiceTest() {
    // Open to the account that commands switch to; the state directory in it is not.
    chmod(directory_.path().c_str(), 0755);
    std::filesystem::create_directory(directory_.Join("public"));
    chmod(Public("").c_str(), 0777);
    Shell("exec sleep 1000");
  }
  ~ExecServiceTest() override {
    spec_.mutable_exec()->set_stop_timeout_seconds(1);
    EXPECT_OK(Open()->Stop());
  }

  std::string Public(const std::string& name) { return JoinPath(directory_.Join("public"), name); }
  std::string State() { return directory_.Join("state"); }
  v1::ExecService* Command(const std::vector<std::string>& command) {
    spec_.mutable_exec()->mutable_command()->Assign(command.begin(), command.end());
    return spec_.mutable_exec();
  }
  v1::ExecService* Shell(const std::string& script) { return Command({"/bin/sh", "-c", script}); }
  std::unique_ptr<Service> Open() {
    absl::StatusOr<std::unique_ptr<Service>> service =
        OpenService(spec_, {"web", State(), EMBER_GUARD_PROGRAM, SystemClock()});
    EXPECT_OK(service);
    return *std::move(service);
  }
  ServiceStatus StatusOf() {
    const absl::StatusOr<ServiceStatus> status = Open()->Status();
    EXPECT_OK(status);
    return status.ok() ? *status : ServiceStatus();
  }
  GuardRecord Record() {
    const absl::StatusOr<GuardRecord> record = ReadGuardRecord(State());
    EXPECT_OK(record);
    return record.ok() ? *record : GuardRecord();
  }
  // The process whose number the command wrote to a file.
  ProcessIdentity WrittenPid(const std::string& file) {
    ProcessIdentity identity;
    EXPECT_TRUE(Eventually([&] {
      const absl::StatusOr<std::string> text = ReadFile(file);
      int pid;
      if (!text.ok() || text->empty() || text->back() != '\n' || !absl::SimpleAtoi(*text, &pid))
        return false;
      const absl::StatusOr<ProcessInfo> info = ReadProcess(pid);
      if (info.ok()) identity = info->identity;
      return info.ok();
    })) << file;
    return identity;
  }
  ServiceStatus AwaitEnd() {
    EXPECT_TRUE(Eventually([&] { return !StatusOf().running; }));
    return StatusOf();
  }

  testing::TempDir directory_;
  v1::ServiceSpec spec_;
};

TEST_F(ExecServiceTest, KillingTheGuardKillsTheCommand) {
  ASSERT_OK(Open()->Start());
  const GuardRecord record = Record();
  ASSERT_TRUE(IsAlive(record.command));
  ASSERT_EQ(kill(record.guard.pid, SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return !IsAlive(record.command); }));
  const ServiceStatus status = AwaitEnd();
  EXPECT_TRUE(status.has_exit);
  EXPECT_EQ(status.exit_status, 137);
  ASSERT_OK(Open()->Start());
  EXPECT_TRUE(StatusOf().running);
  EXPECT_NE(StatusOf().pid, record.command.pid);
}

TEST_F(ExecServiceTest, WhatAKilledGuardLeavesIsKilledBeforeTheNextStart) {
  Shell(absl::StrCat("setsid sh -c 'echo $$ >", Public("pid"),
                     "; exec sleep 1000' & exec sleep 1000"));
  ASSERT_OK(Open()->Start());
  const ProcessIdentity daemon = WrittenPid(Public("pid"));
  ASSERT_EQ(kill(Record().guard.pid, SIGKILL), 0);
  AwaitEnd();
  EXPECT_TRUE(IsAlive(daemon));  // it left the session, and nobody watches it
  Shell("exec sleep 1000");
  ASSERT_OK(Open()->Start());
  EXPECT_FALSE(IsAlive(daemon));
}

TEST_F(ExecServiceTest, StopAfterAKilledGuardLeavesNothing) {
  // Also without the mark in its environment, as programs that show a title have it.
  Shell(absl::StrCat("env -i sh -c 'echo $$ >", Public("pid"),
                     "; exec sleep 1000' & exec sleep 1000"));
  ASSERT_OK(Open()->Start());
  const ProcessIdentity child = WrittenPid(Public("pid"));
  ASSERT_EQ(kill(Record().guard.pid, SIGKILL), 0);
  AwaitEnd();
  EXPECT_TRUE(IsAlive(child));
  ASSERT_OK(Open()->Stop());
  EXPECT_FALSE(IsAlive(child));
}

TEST_F(ExecServiceTest, StopReachesDaemonsOfTheCommand) {
  Shell(absl::StrCat("(setsid sh -c 'echo $$ >", Public("pid"),
                     "; exec sleep 1000' &) ; exec sleep 1000"));
  ASSERT_OK(Open()->Start());
  const ProcessIdentity daemon = WrittenPid(Public("pid"));
  const ProcessIdentity command = Record().command;
  ASSERT_OK(Open()->Stop());
  EXPECT_FALSE(IsAlive(daemon));
  EXPECT_FALSE(IsAlive(command));
  EXPECT_EQ(Record().state, GuardState::kStopped);
}

TEST_F(ExecServiceTest, DaemonsEndWithTheCommand) {
  Shell(absl::StrCat("(setsid sh -c 'echo $$ >", Public("pid"),
                     "; exec sleep 1000' &) ; while ! test -s ", Public("pid"),
                     "; do sleep 0.02; done; exit 3"));
  ASSERT_OK(Open()->Start());
  const ProcessIdentity daemon = WrittenPid(Public("pid"));
  const ServiceStatus status = AwaitEnd();
  EXPECT_EQ(status.exit_status, 3);
  EXPECT_FALSE(IsAlive(daemon));
}

TEST_F(ExecServiceTest, AStubbornCommandIsKilledAtItsTimeout) {
  Shell(absl::StrCat("trap '' TERM; echo $$ >", Public("pid"), "; while :; do sleep 0.1; done"))
      ->set_stop_timeout_seconds(1);
  ASSERT_OK(Open()->Start());
  const ProcessIdentity command = WrittenPid(Public("pid"));
  const absl::Duration asked = SystemClock()->Monotonic();
  ASSERT_OK(Open()->Stop());
  EXPECT_GE(SystemClock()->Monotonic() - asked, absl::Seconds(1));
  EXPECT_FALSE(IsAlive(command));
  EXPECT_EQ(StatusOf().exit_status, 137);
}

TEST_F(ExecServiceTest, StopLetsTheCommandFinish) {
  Shell(absl::StrCat("trap 'echo bye >", Public("bye"), "; exit 0' TERM; touch ", Public("ready"),
                     "; while :; do sleep 0.05; done"));
  ASSERT_OK(Open()->Start());
  ASSERT_TRUE(Eventually([&] { return FileExists(Public("ready")); }));
  ASSERT_OK(Open()->Stop());
  EXPECT_TRUE(FileExists(Public("bye")));
  EXPECT_EQ(StatusOf().exit_status, 0);
}

TEST_F(ExecServiceTest, AStuckGuardIsKilledWithEverythingItKept) {
  Shell("exec sleep 1000")->set_stop_timeout_seconds(1);
  ASSERT_OK(Open()->Start());
  const GuardRecord record = Record();
  ASSERT_EQ(kill(record.guard.pid, SIGSTOP), 0);
  ASSERT_OK(Open()->Stop());
  EXPECT_FALSE(IsAlive(record.guard));
  EXPECT_FALSE(IsAlive(record.command));
}

TEST_F(ExecServiceTest, ThePassedDeadlineIsOnRecord) {
  ASSERT_OK(Open()->Start());
  const GuardRecord before = Record();
  ASSERT_OK(Open()->SetDeadline(SystemClock()->Monotonic()));
  AwaitEnd();
  EXPECT_EQ(Record().state, GuardState::kFenced);
  EXPECT_FALSE(IsAlive(before.command));
  EXPECT_TRUE(Eventually([&] { return !IsAlive(before.guard); }));
}

TEST_F(ExecServiceTest, ADamagedDeadlineDoesNotExtendTheOneBefore) {
  ASSERT_OK(Open()->SetDeadline(SystemClock()->Monotonic() + absl::Seconds(1)));
  ASSERT_OK(Open()->Start());
  ASSERT_TRUE(Eventually([&] { return Record().state == GuardState::kRunning; }));
  const absl::Duration written = SystemClock()->Monotonic();
  ASSERT_TRUE(
      Eventually([&] { return SystemClock()->Monotonic() - written > absl::Milliseconds(600); }));
  ASSERT_OK(WriteFileAtomic(JoinPath(State(), kDeadlineFile), "never"));
  EXPECT_TRUE(Eventually([&] { return !StatusOf().running; }, absl::Seconds(5)));
}

TEST_F(ExecServiceTest, ManyAgentsStartOneProcess) {
  Shell(absl::StrCat("echo started >>", Public("starts"), "; exec sleep 1000"));
  std::vector<std::thread> agents;
  std::vector<absl::Status> results(6);
  for (absl::Status& result : results) agents.emplace_back([&] { result = Open()->Start(); });
  for (std::thread& agent : agents) agent.join();
  for (const absl::Status& result : results) EXPECT_OK(result);
  ASSERT_TRUE(Eventually([&] { return FileExists(Public("starts")); }));
  EXPECT_EQ(*ReadFile(Public("starts")), "started\n");
}

TEST_F(ExecServiceTest, AReusedNumberIsNotTakenForTheGuard) {
  ASSERT_OK(Open()->Start());
  ASSERT_OK(Open()->Stop());
  GuardRecord record = Record();
  record.state = GuardState::kRunning;
  record.guard = {getpid(), 1};  // a living process, started at another time
  record.command = {getpid(), 1};
  ASSERT_OK(WriteGuardRecord(State(), record));
  EXPECT_FALSE(StatusOf().running);
  EXPECT_OK(Open()->Stop());  // and this process lives on
}

TEST_F(ExecServiceTest, NothingRunsAfterAReboot) {
  ASSERT_OK(Open()->Start());
  const GuardRecord living = Record();
  GuardRecord record = living;
  record.boot_id = "00000000-0000-0000-0000-000000000000";
  ASSERT_OK(WriteGuardRecord(State(), record));
  const ServiceStatus status = StatusOf();
  EXPECT_FALSE(status.running);
  EXPECT_FALSE(status.has_exit);
  ASSERT_OK(WriteGuardRecord(State(), living));
  EXPECT_TRUE(StatusOf().running);
}

TEST_F(ExecServiceTest, ADeadlineOfAnotherBootIsNone) {
  ASSERT_OK(MakeDirectories(State()));
  ASSERT_OK(WriteFileAtomic(JoinPath(State(), kDeadlineFile),
                            "00000000-0000-0000-0000-000000000000 1\n"));
  EXPECT_OK(Open()->Start());
}

TEST_F(ExecServiceTest, AMissingProgramIsSaidWithItsName) {
  Command({"/nonexistent/program"});
  EXPECT_THAT(Open()->Start(),
              HasCodeAndText(absl::StatusCode::kFailedPrecondition, "/nonexistent/program"));
  const ServiceStatus status = StatusOf();
  EXPECT_FALSE(status.running);
  EXPECT_TRUE(status.has_exit);
  EXPECT_EQ(status.exit_status, 127);
  EXPECT_THAT(status.log_tail, Contains(HasSubstr("No such file or directory")));
}

TEST_F(ExecServiceTest, AProgramThatCannotBeExecutedIs126) {
  Command({Public("")});
  EXPECT_THAT(Open()->Start(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(StatusOf().exit_status, 126);
}

TEST_F(ExecServiceTest, AMissingDirectoryOrAccountIsSaid) {
  Shell("exec sleep 1000")->set_directory("/nonexistent/place");
  EXPECT_THAT(Open()->Start(),
              HasCodeAndText(absl::StatusCode::kFailedPrecondition, "/nonexistent/place"));
  Shell("exec sleep 1000")->clear_directory();
  spec_.mutable_exec()->set_user("no-such-user");
  const absl::Status status = Open()->Start();
  EXPECT_THAT(status, HasCodeAndText(absl::StatusCode::kFailedPrecondition, "no-such-user"));
  EXPECT_THAT(HintOf(status), HasSubstr("service.exec.user"));
  spec_.mutable_exec()->clear_user();
}

TEST_F(ExecServiceTest, AnAgentBinaryThatIsNoneIsAnErrorNotAHang) {
  for (const char* binary : {"/bin/true", "/nonexistent/agent"}) {
    ASSERT_OK_AND_ASSIGN(const auto service,
                         OpenService(spec_, {"web", State(), binary, SystemClock()}));
    EXPECT_FALSE(service->Start().ok()) << binary;
  }
}

TEST_F(ExecServiceTest, BadSpecificationsAreRefused) {
  const auto refused = [](const std::function<void(v1::ExecService*)>& change) {
    v1::ServiceSpec spec;
    spec.mutable_exec()->add_command("/bin/true");
    change(spec.mutable_exec());
    return OpenService(spec, {"web", "/nonexistent", "", SystemClock()}).status();
  };
  const auto invalid = HasCode(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->clear_command(); }), invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->set_command(0, ""); }), invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->add_command(std::string("a\0b", 3)); }),
              invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { (*exec->mutable_environment())["A=B"] = "c"; }),
              invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->set_directory("relative"); }), invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->set_stop_timeout_seconds(-1); }), invalid);
  EXPECT_THAT(refused([](v1::ExecService* exec) { exec->set_stop_timeout_seconds(1 << 30); }),
              invalid);
  EXPECT_THAT(OpenService(v1::ServiceSpec(), {"web", "/nonexistent", "", SystemClock()}), invalid);
}

TEST_F(ExecServiceTest, TheCommandGetsACleanEnvironment) {
  ASSERT_EQ(setenv("SECRET_OF_THE_AGENT", "1", 1), 0);
  Shell(absl::StrCat("env >", Public("new"), "; pwd >>", Public("new"), "; mv ", Public("new"), " ",
                     Public("env"), "; exec sleep 1000"));
  (*spec_.mutable_exec()->mutable_environment())["COLOR"] = "blue green";
  (*spec_.mutable_exec()->mutable_environment())["LANG"] = "fr_FR.UTF-8";
  spec_.mutable_exec()->set_directory("/usr");
  ASSERT_OK(Open()->Start());
  ASSERT_TRUE(Eventually([&] { return FileExists(Public("env")); }));
  const std::vector<std::string> lines = absl::StrSplit(*ReadFile(Public("env")), '\n');
  EXPECT_THAT(lines, Contains("COLOR=blue green"));
  EXPECT_THAT(lines, Contains("LANG=fr_FR.UTF-8"));
  EXPECT_THAT(lines, Contains(HasSubstr("PATH=/")));
  EXPECT_THAT(lines, Contains(HasSubstr("HOME=/")));
  EXPECT_THAT(lines, Contains("/usr"));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("SECRET_OF_THE_AGENT"))));
}

TEST_F(ExecServiceTest, TheCommandHasNoFileOfTheAgentOrTheGuard) {
  Fd secret(open("/etc/passwd", O_RDONLY));  // without close-on-exec
  ASSERT_TRUE(secret.valid());
  Shell(absl::StrCat("ls /proc/self/fd >", Public("new"), "; mv ", Public("new"), " ",
                     Public("fds"), "; exec sleep 1000"));
  ASSERT_OK(Open()->Start());
  ASSERT_TRUE(Eventually([&] { return FileExists(Public("fds")); }));
  const std::vector<std::string> fds =
      absl::StrSplit(*ReadFile(Public("fds")), '\n', absl::SkipEmpty());
  EXPECT_THAT(fds, ElementsAre("0", "1", "2", "3"));  // 3 is the directory that ls reads
}

TEST_F(ExecServiceTest, TheCommandRunsAsItsUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can switch users";
  Shell(absl::StrCat("echo said >/dev/stdout; id -un >", Public("new"), "; id -G >>", Public("new"),
                     "; mv ", Public("new"), " ", Public("id"), "; exec sleep 1000"))
      ->set_user("nobody");
  ASSERT_OK(Open()->Start());
  ASSERT_TRUE(Eventually([&] { return FileExists(Public("id")); }));
  EXPECT_EQ(*ReadFile(Public("id")), "nobody\n65534\n");
  EXPECT_TRUE(Eventually([&] { return !StatusOf().log_tail.empty(); }));
  EXPECT_THAT(StatusOf().log_tail, ElementsAre("said"));
  const GuardRecord record = Record();
  ASSERT_EQ(kill(record.guard.pid, SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return !IsAlive(record.command); }));
}

TEST_F(ExecServiceTest, OutputIsKeptAndShownPrintable) {
  Shell("echo to stdout; echo to stderr >&2; printf '\\033[31mred\\n'; exit 0");
  ASSERT_OK(Open()->Start());
  AwaitEnd();
  EXPECT_THAT(StatusOf().log_tail, ElementsAre("to stdout", "to stderr", "\\x1b[31mred"));
}

TEST_F(ExecServiceTest, OutputIsBounded) {
  Shell(absl::StrCat("yes 'a line of output' | head -c ", kServiceLogBytesMax * 5 / 2,
                     "; echo; echo last"));
  ASSERT_OK(Open()->Start());
  AwaitEnd();
  EXPECT_LE(std::filesystem::file_size(JoinPath(State(), kOutputFile)), kServiceLogBytesMax);
  EXPECT_LE(std::filesystem::file_size(JoinPath(State(), kOlderOutputFile)), kServiceLogBytesMax);
  const ServiceStatus status = StatusOf();
  EXPECT_THAT(status.log_tail, SizeIs(kLogTailLines));
  EXPECT_EQ(status.log_tail.back(), "last");
}

TEST_F(ExecServiceTest, ItsStateIsPrivate) {
  ASSERT_OK(Open()->Start());
  struct stat info;
  ASSERT_EQ(stat(State().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(ExecServiceTest, AGuardThatComesLateToAStopStartsNothing) {
  ASSERT_OK(Open()->Start());
  ASSERT_OK(Open()->Stop());
  const std::string late = absl::StrCat(EMBER_GUARD_PROGRAM, " guard ", State());
  ASSERT_OK_AND_ASSIGN(const std::string answer, OutputOf(late));
  EXPECT_THAT(answer, ::testing::StartsWith("failed "));
  EXPECT_FALSE(StatusOf().running);
}

TEST(NoneService, AlwaysRuns) {
  v1::ServiceSpec spec;
  spec.mutable_none();
  ASSERT_OK_AND_ASSIGN(const auto service,
                       OpenService(spec, {"data", "/nonexistent", "", SystemClock()}));
  EXPECT_OK(service->Stop());
  ASSERT_OK_AND_ASSIGN(const ServiceStatus status, service->Status());
  EXPECT_TRUE(status.running);
}

}  // namespace
}  // namespace ember::agent
