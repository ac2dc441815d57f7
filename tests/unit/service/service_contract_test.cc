#include "tests/contract/service_contract.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "tests/support/fake_service.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {
namespace {

// Runs until the file appears, and then ends with the number in it.
std::string EndsWhenTold(const std::string& file) {
  return absl::StrCat("while ! test -e ", file, "; do sleep 0.02; done; read -r n < ", file,
                      "; rm ", file, "; exit $n");
}

class ExecUnderTest : public ServiceUnderTest {
 public:
  ~ExecUnderTest() override { EXPECT_OK(Open()->Stop()); }
  std::unique_ptr<agent::Service> Open() override {
    v1::ServiceSpec spec;
    for (const std::string& word :
         {std::string("/bin/sh"), std::string("-c"), EndsWhenTold(directory_.Join("end"))}) {
      spec.mutable_exec()->add_command(word);
    }
    agent::ServiceOptions options{"web", directory_.Join("state"), EMBER_GUARD_PROGRAM,
                                  SystemClock()};
    absl::StatusOr<std::unique_ptr<agent::Service>> service = agent::OpenService(spec, options);
    EXPECT_OK(service);
    return *std::move(service);
  }
  void End(agent::Service*, int exit_status) override {
    EXPECT_OK(WriteFileAtomic(directory_.Join("end"), absl::StrCat(exit_status, "\n")));
  }

 private:
  TempDir directory_;
};

class FakeUnderTest : public ServiceUnderTest {
 public:
  std::unique_ptr<agent::Service> Open() override {
    return std::make_unique<FakeService>(process_);
  }
  void End(agent::Service*, int exit_status) override { process_->End(exit_status); }

 private:
  std::shared_ptr<FakeProcess> process_ = std::make_shared<FakeProcess>(SystemClock());
};

// Needs a systemd of its own, whose units may be written: with_systemd.sh.
class SystemdUnderTest : public ServiceUnderTest {
 public:
  SystemdUnderTest() {
    const char* units = getenv("EMBER_UNIT_DIRECTORY");
    if (units == nullptr) return;
    static int count = 0;
    unit_ = absl::StrCat("ember-test-", ++count);
    EXPECT_OK(WriteFileAtomic(JoinPath(units, unit_ + ".service"),
                              absl::StrCat("[Service]\nExecStart=/bin/sh -c '",
                                           EndsWhenTold(directory_.Join("end")), "'\n")));
    EXPECT_EQ(system("systemctl --user daemon-reload"), 0);
  }
  ~SystemdUnderTest() override {
    if (unit_.empty()) return;
    EXPECT_OK(Open()->SetDeadline(absl::InfiniteDuration()));
    EXPECT_OK(Open()->Stop());
  }
  std::string Unavailable() override {
    return unit_.empty() ? "no systemd for tests; see with_systemd.sh" : "";
  }
  std::unique_ptr<agent::Service> Open() override {
    v1::ServiceSpec spec;
    spec.set_systemd(unit_);
    agent::ServiceOptions options{"web", directory_.Join("state"), EMBER_GUARD_PROGRAM,
                                  SystemClock()};
    absl::StatusOr<std::unique_ptr<agent::Service>> service = agent::OpenService(spec, options);
    EXPECT_OK(service);
    return *std::move(service);
  }
  void End(agent::Service*, int exit_status) override {
    EXPECT_OK(WriteFileAtomic(directory_.Join("end"), absl::StrCat(exit_status, "\n")));
  }

 private:
  TempDir directory_;
  std::string unit_;
};

INSTANTIATE_TEST_SUITE_P(Exec, ServiceContract,
                         ::testing::Values(ServiceCase{
                             "exec", [] { return std::make_unique<ExecUnderTest>(); }}),
                         ServiceCaseName);
INSTANTIATE_TEST_SUITE_P(Fake, ServiceContract,
                         ::testing::Values(ServiceCase{
                             "fake", [] { return std::make_unique<FakeUnderTest>(); }}),
                         ServiceCaseName);
INSTANTIATE_TEST_SUITE_P(Systemd, ServiceContract,
                         ::testing::Values(ServiceCase{
                             "systemd", [] { return std::make_unique<SystemdUnderTest>(); }}),
                         ServiceCaseName);

absl::StatusOr<std::unique_ptr<agent::Service>> OpenUnit(const std::string& unit) {
  v1::ServiceSpec spec;
  spec.set_systemd(unit);
  return agent::OpenService(spec, {"web", "/nonexistent", EMBER_GUARD_PROGRAM, SystemClock()});
}

TEST(SystemdUnit, UnknownOneIsNotFoundAndCountsAsStopped) {
  if (getenv("EMBER_UNIT_DIRECTORY") == nullptr)
    GTEST_SKIP() << "no systemd for tests; see with_systemd.sh";
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<agent::Service> service,
                       OpenUnit("ember-no-such-unit"));
  EXPECT_THAT(service->Status(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_FALSE(service->Start().ok());
  EXPECT_OK(service->Stop());
}

TEST(SystemdUnit, OneThatFailsToStartSaysSo) {
  const char* units = getenv("EMBER_UNIT_DIRECTORY");
  if (units == nullptr) GTEST_SKIP() << "no systemd for tests; see with_systemd.sh";
  ASSERT_OK(WriteFileAtomic(JoinPath(units, "ember-broken.service"),
                            "[Service]\nType=oneshot\nExecStart=/bin/false\n"));
  ASSERT_EQ(system("systemctl --user daemon-reload"), 0);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<agent::Service> service,
                       OpenUnit("ember-broken.service"));
  EXPECT_THAT(service->Start(), HasCodeAndText(absl::StatusCode::kFailedPrecondition, "failed"));
  ASSERT_OK_AND_ASSIGN(const agent::ServiceStatus status, service->Status());
  EXPECT_FALSE(status.running);
  EXPECT_EQ(status.exit_status, 1);
}

TEST(SystemdService, WithoutABusItIsUnavailable) {
  ASSERT_EQ(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
  ASSERT_EQ(setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
  EXPECT_THAT(OpenUnit("db.service"), HasCodeAndText(absl::StatusCode::kUnavailable, "systemd"));
}

TEST(SystemdService, ANameThatIsAPathIsRefused) {
  EXPECT_THAT(OpenUnit("../db.service"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(OpenUnit(""), HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember::testing
