#include "node-agent/probe/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node-agent/service/process.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using ::ember::testing::Eventually;
using ::ember::testing::FakeProcess;
using ::ember::testing::FakeService;
using ::ember::testing::HasCode;
using ::ember::testing::HasCodeAndText;

constexpr absl::StatusCode kUnhealthy = absl::StatusCode::kUnavailable;

// A socket that listens on a free port of the loopback interface.
class Listener {
 public:
  explicit Listener(int family = AF_INET) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 address = {};
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (family == AF_INET) {
      auto* four = reinterpret_cast<sockaddr_in*>(&address);
      four->sin_family = AF_INET;
      four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      address.sin6_family = AF_INET6;
      address.sin6_addr = in6addr_loopback;
    }
    works_ = bind(fd_.get(), generic, size) == 0 && listen(fd_.get(), 8) == 0 &&
             getsockname(fd_.get(), generic, &size) == 0;
    port_ = ntohs(address.sin6_port);  // at the same place in both
  }
  bool works() const { return works_; }
  int port() const { return port_; }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  bool works_;
  int port_;
};

// Answers one request with `response`, and keeps the connection open until its end when told to.
class OneAnswer {
 public:
  explicit OneAnswer(std::string response)
      : thread_([this, response] {
          Fd connection(accept(listener_.fd(), nullptr, nullptr));
          char buffer[4096];
          if (read(connection.get(), buffer, sizeof buffer) < 0) return;
          (void)WriteAll(connection.get(), response, "response");
        }) {}
  ~OneAnswer() {
    shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", listener_.port(), "/health"); }

 private:
  Listener listener_;
  std::thread thread_;
};

class ProbeTest : public ::testing::Test {
 protected:
  ProbeTest() {
    spec_.mutable_service()->mutable_exec()->add_command("/bin/true");
    spec_.mutable_health()->set_timeout_millis(2000);
    EXPECT_OK(service_.Start());
  }
  absl::Status Look() { return Probe(spec_, &service_); }
  absl::Status Tcp(const std::string& target) {
    spec_.mutable_health()->set_tcp(target);
    return Look();
  }
  absl::Status Http(const std::string& url) {
    spec_.mutable_health()->set_http(url);
    return Look();
  }
  absl::Status Answered(const std::string& response) {
    OneAnswer server(response);
    return Http(server.url());
  }
  absl::Status Shell(const std::string& script) {
    v1::CommandProbe* command = spec_.mutable_health()->mutable_command();
    command->clear_command();
    for (const char* word : {"/bin/sh", "-c", script.c_str()}) command->add_command(word);
    return Look();
  }

  std::shared_ptr<FakeProcess> process_ = std::make_shared<FakeProcess>(SystemClock());
  FakeService service_{process_};
  v1::WorkloadSpec spec_;
};

TEST_F(ProbeTest, EveryKindFailsWhenTheServiceIsDown) {
  Listener other;  // somebody answers, but not this service
  process_->End(3);
  const auto down = HasCodeAndText(kUnhealthy, "not running (exit status 3)");
  EXPECT_THAT(Look(), down);
  EXPECT_THAT(Tcp(absl::StrCat("127.0.0.1:", other.port())), down);
  EXPECT_THAT(Shell("exit 0"), down);
  spec_.mutable_health()->set_heartbeat_millis(1000);
  EXPECT_THAT(Look(), down);
  spec_.mutable_health()->set_process(true);
  EXPECT_THAT(Look(), down);
}

TEST_F(ProbeTest, ARunningProcessIsHealthy) {
  EXPECT_OK(Look());
  spec_.mutable_health()->set_process(true);
  EXPECT_OK(Look());
  spec_.mutable_health()->set_heartbeat_millis(1000);
  EXPECT_OK(Look());
}

TEST_F(ProbeTest, WithoutAServiceOnlyTheProbeCounts) {
  process_->End(3);
  spec_.mutable_service()->mutable_none();
  EXPECT_OK(Look());
  EXPECT_OK(Shell("exit 0"));
  EXPECT_FALSE(Shell("exit 1").ok());
}

TEST_F(ProbeTest, TcpConnectsByAddressAndByName) {
  Listener listener;
  ASSERT_TRUE(listener.works());
  EXPECT_OK(Tcp(absl::StrCat("127.0.0.1:", listener.port())));
  EXPECT_OK(Tcp(absl::StrCat("localhost:", listener.port())));
}

TEST_F(ProbeTest, TcpConnectsToIpv6) {
  Listener listener(AF_INET6);
  if (!listener.works()) GTEST_SKIP() << "no IPv6 here";
  EXPECT_OK(Tcp(absl::StrCat("[::1]:", listener.port())));
}

TEST_F(ProbeTest, TcpSaysWhyNot) {
  int port;
  {
    Listener listener;
    port = listener.port();
  }
  EXPECT_THAT(
      Tcp(absl::StrCat("127.0.0.1:", port)),
      HasCodeAndText(kUnhealthy, absl::StrCat("tcp 127.0.0.1:", port, ": connection refused")));
  EXPECT_THAT(Tcp("no-such-host.invalid:80"),
              HasCodeAndText(kUnhealthy, "tcp no-such-host.invalid:80: "));
}

TEST_F(ProbeTest, TcpGivesUpInTime) {
  // A full backlog leaves further connections unanswered.
  Listener listener;
  ASSERT_EQ(listen(listener.fd(), 0), 0);
  const std::string target = absl::StrCat("127.0.0.1:", listener.port());
  std::vector<Fd> waiting;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(listener.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)!connect(waiting.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  spec_.mutable_health()->set_timeout_millis(200);
  const absl::Duration begun = SystemClock()->Monotonic();
  EXPECT_THAT(Tcp(target), HasCodeAndText(kUnhealthy, "no answer in time"));
  EXPECT_LT(SystemClock()->Monotonic() - begun, absl::Seconds(2));
}

TEST_F(ProbeTest, TcpTargetsWithoutTheRightFormAreRefused) {
  for (const char* target :
       {"", "host", "host:", ":80", "host:0", "host:65536", "host:http", "::1:80", "[]:80"}) {
    EXPECT_THAT(Tcp(target), HasCode(absl::StatusCode::kInvalidArgument)) << target;
  }
}

TEST_F(ProbeTest, HttpJudgesTheStatus) {
  EXPECT_OK(Answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  EXPECT_OK(Answered("HTTP/1.1 204 No Content\r\n\r\n"));
  // A redirect is an answer; where it leads is not asked.
  EXPECT_OK(
      Answered("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_THAT(Answered("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nbusy\n"),
              HasCodeAndText(kUnhealthy, "answered 503"));
  EXPECT_THAT(Answered("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
              HasCodeAndText(kUnhealthy, "answered 404"));
}

TEST_F(ProbeTest, HttpNeedsAnAnswerNotItsBody) {
  EXPECT_OK(Answered("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegins"));
  EXPECT_THAT(Answered(""), HasCode(kUnhealthy));
  EXPECT_THAT(Answered("SSH-2.0-OpenSSH_9.2\r\n"), HasCode(kUnhealthy));
}

TEST_F(ProbeTest, HttpGivesUpInTime) {
  Listener silent;
  spec_.mutable_health()->set_timeout_millis(200);
  const absl::Duration begun = SystemClock()->Monotonic();
  EXPECT_THAT(Http(absl::StrCat("http://127.0.0.1:", silent.port(), "/")), HasCode(kUnhealthy));
  EXPECT_LT(SystemClock()->Monotonic() - begun, absl::Seconds(2));
}

TEST_F(ProbeTest, HttpTakesNoOtherScheme) {
  EXPECT_THAT(Http("file:///etc/passwd"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Http(""), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Http("http://"), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ProbeTest, CommandIsHealthyWithZero) {
  EXPECT_OK(Shell("echo fine; exit 0"));
  EXPECT_THAT(Shell("echo first; echo 'disk is sick' >&2; exit 2"),
              HasCodeAndText(kUnhealthy, "exit status 2: disk is sick"));
  EXPECT_THAT(Shell("kill -9 $$"), HasCodeAndText(kUnhealthy, "killed by signal 9"));
}

TEST_F(ProbeTest, CommandThatIsMissingIsSaid) {
  spec_.mutable_health()->mutable_command()->add_command("/nonexistent/check");
  EXPECT_THAT(Look(), HasCodeAndText(kUnhealthy, "/nonexistent/check"));
  spec_.mutable_health()->mutable_command()->clear_command();
  EXPECT_THAT(Look(), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ProbeTest, CommandIsKilledWithItsChildrenAtTheTimeout) {
  testing::TempDir directory;
  spec_.mutable_health()->set_timeout_millis(500);
  EXPECT_THAT(
      Shell(absl::StrCat("echo waiting; sleep 1000 & echo $! >", directory.Join("pid"), "; wait")),
      HasCodeAndText(kUnhealthy, "no end within 500ms: waiting"));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(directory.Join("pid")));
  int pid;
  ASSERT_TRUE(absl::SimpleAtoi(text, &pid));
  EXPECT_TRUE(Eventually([&] {
    const absl::StatusOr<ProcessInfo> info = ReadProcess(pid);
    return !info.ok() || info->dead;
  }));
}

TEST_F(ProbeTest, CommandIsJudgedAtItsEndNotAtThatOfItsChildren) {
  spec_.mutable_health()->set_timeout_millis(20000);
  const absl::Duration begun = SystemClock()->Monotonic();
  EXPECT_OK(Shell("sleep 1000 & exit 0"));
  EXPECT_LT(SystemClock()->Monotonic() - begun, absl::Seconds(10));
}

TEST_F(ProbeTest, CommandMayPrintMuch) {
  EXPECT_THAT(Shell("yes | head -c 3000000; echo; echo last words; exit 1"),
              HasCodeAndText(kUnhealthy, "last words"));
}

}  // namespace
}  // namespace ember::agent
