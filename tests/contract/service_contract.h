// What every kind of service promises. Run by exec, systemd (where one answers) and the fake.
#ifndef EMBER_TESTS_CONTRACT_SERVICE_CONTRACT_H_
#define EMBER_TESTS_CONTRACT_SERVICE_CONTRACT_H_

#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "gtest/gtest.h"
#include "node-agent/service/service.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {

// One workload of some kind; it ends with this object.
class ServiceUnderTest {
 public:
  virtual ~ServiceUnderTest() = default;
  // Why the kind cannot be tried here, or "".
  virtual std::string Unavailable() { return ""; }
  // A service object on the workload, as a new agent process opens it.
  virtual std::unique_ptr<agent::Service> Open() = 0;
  // Its process ends by itself with `exit_status`; it runs now.
  virtual void End(agent::Service* service, int exit_status) = 0;
};

struct ServiceCase {
  std::string name;
  std::function<std::unique_ptr<ServiceUnderTest>()> make;
};

class ServiceContract : public ::testing::TestWithParam<ServiceCase> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    if (const std::string reason = under_test_->Unavailable(); !reason.empty())
      GTEST_SKIP() << reason;
    service_ = under_test_->Open();
    ASSERT_NE(service_, nullptr);
  }
  bool Runs() {
    const absl::StatusOr<agent::ServiceStatus> status = service_->Status();
    EXPECT_OK(status);
    return status.ok() && status->running;
  }
  int64_t Pid() {
    const absl::StatusOr<agent::ServiceStatus> status = service_->Status();
    EXPECT_OK(status);
    return status.ok() ? status->pid : 0;
  }
  absl::Duration Now() { return SystemClock()->Monotonic(); }
  void LetPass(absl::Duration duration) {
    const absl::Duration until = Now() + duration;
    ASSERT_TRUE(Eventually([&] { return Now() >= until; }));
  }

  std::unique_ptr<ServiceUnderTest> under_test_;
  std::unique_ptr<agent::Service> service_;
};

TEST_P(ServiceContract, NothingRunsBeforeTheFirstStart) {
  ASSERT_OK_AND_ASSIGN(const agent::ServiceStatus status, service_->Status());
  EXPECT_FALSE(status.running);
  EXPECT_FALSE(status.has_exit);
  EXPECT_OK(service_->Stop());
}

TEST_P(ServiceContract, TwoStartsMakeOneProcess) {
  ASSERT_OK(service_->Start());
  const int64_t pid = Pid();
  EXPECT_GT(pid, 0);
  ASSERT_OK(service_->Start());
  EXPECT_EQ(Pid(), pid);
}

TEST_P(ServiceContract, ANewAgentFindsItRunning) {
  ASSERT_OK(service_->Start());
  const int64_t pid = Pid();
  service_ = under_test_->Open();
  EXPECT_TRUE(Runs());
  EXPECT_EQ(Pid(), pid);
  ASSERT_OK(service_->Start());
  EXPECT_EQ(Pid(), pid);
}

TEST_P(ServiceContract, StopEndsItAndCanBeRepeated) {
  ASSERT_OK(service_->Start());
  ASSERT_OK(service_->Stop());
  EXPECT_FALSE(Runs());
  EXPECT_OK(service_->Stop());
}

TEST_P(ServiceContract, StartsAgainAfterAStop) {
  ASSERT_OK(service_->Start());
  ASSERT_OK(service_->Stop());
  ASSERT_OK(service_->Start());
  EXPECT_TRUE(Runs());
}

TEST_P(ServiceContract, SaysHowItEndedAndStartsAgain) {
  ASSERT_OK(service_->Start());
  under_test_->End(service_.get(), 3);
  ASSERT_TRUE(Eventually([&] { return !Runs(); }));
  ASSERT_OK_AND_ASSIGN(const agent::ServiceStatus status, service_->Status());
  EXPECT_TRUE(status.has_exit);
  EXPECT_EQ(status.exit_status, 3);
  ASSERT_OK(service_->Start());
  EXPECT_TRUE(Runs());
}

TEST_P(ServiceContract, StopsAtItsDeadlineWithoutAnAgent) {
  ASSERT_OK(service_->SetDeadline(Now() + absl::Seconds(2)));
  ASSERT_OK(service_->Start());
  EXPECT_TRUE(Runs());
  service_.reset();
  LetPass(absl::Seconds(2));
  service_ = under_test_->Open();
  EXPECT_TRUE(Eventually([&] { return !Runs(); }, absl::Seconds(10)));
}

TEST_P(ServiceContract, ADeadlineMayComeWhileItRuns) {
  ASSERT_OK(service_->Start());
  ASSERT_OK(service_->SetDeadline(Now() + absl::Milliseconds(200)));
  EXPECT_TRUE(Eventually([&] { return !Runs(); }, absl::Seconds(10)));
}

TEST_P(ServiceContract, ALaterDeadlineKeepsItRunning) {
  ASSERT_OK(service_->SetDeadline(Now() + absl::Seconds(2)));
  ASSERT_OK(service_->Start());
  ASSERT_OK(service_->SetDeadline(Now() + absl::Hours(1)));
  LetPass(absl::Milliseconds(2700));
  EXPECT_TRUE(Runs());
}

TEST_P(ServiceContract, WithoutItsDeadlineItKeepsRunning) {
  ASSERT_OK(service_->SetDeadline(Now() + absl::Seconds(2)));
  ASSERT_OK(service_->Start());
  ASSERT_OK(service_->SetDeadline(absl::InfiniteDuration()));
  LetPass(absl::Milliseconds(2700));
  EXPECT_TRUE(Runs());
}

TEST_P(ServiceContract, APassedDeadlineRefusesAStartUntilItIsMoved) {
  ASSERT_OK(service_->SetDeadline(Now() - absl::Seconds(1)));
  EXPECT_THAT(service_->Start(), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(Runs());
  ASSERT_OK(service_->SetDeadline(Now() + absl::Hours(1)));
  ASSERT_OK(service_->Start());
  EXPECT_TRUE(Runs());
}

inline std::string ServiceCaseName(const ::testing::TestParamInfo<ServiceCase>& info) {
  return info.param.name;
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_CONTRACT_SERVICE_CONTRACT_H_
