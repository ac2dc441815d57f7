#include "common/rpc/gate.h"

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace ember::rpc {
namespace {

using testing::HasCode;
using testing::HasCodeAndText;
constexpr absl::StatusCode kRefused = absl::StatusCode::kPermissionDenied;
constexpr char kHeartbeat[] = "/ember.v1.AgentService/Heartbeat";

class GateTest : public ::testing::Test {
 protected:
  std::string Certificate(const KeyAndCertificate& ca, absl::string_view role,
                          absl::string_view name) {
    return SignCsr(ca, CreateCsr(NewPrivateKeyPem()).value(), role, name, clock_.Now(),
                   absl::Hours(24))
        .value();
  }
  absl::Status Check(absl::string_view method, absl::string_view pem) const {
    return gate_.Check(method, pem, ca_.certificate_pem);
  }

  testing::FakeClock clock_;
  const KeyAndCertificate ca_ = CreateCa("home", clock_.Now()).value();
  const Gate gate_{{&clock_, nullptr, nullptr}};
};

TEST_F(GateTest, RemembersTheSignatureButNeverTheValidity) {
  const std::string pem = Certificate(ca_, "agent", "nas1");
  EXPECT_OK(Check(kHeartbeat, pem));
  EXPECT_OK(Check(kHeartbeat, pem));
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(Check(kHeartbeat, pem), HasCodeAndText(kRefused, "expired"));
  clock_.JumpWall(-absl::Hours(25));
  EXPECT_OK(Check(kHeartbeat, pem));
}

TEST_F(GateTest, WhatPassedUnderOneCaDoesNotPassUnderAnother) {
  const std::string pem = Certificate(ca_, "agent", "nas1");
  EXPECT_OK(Check(kHeartbeat, pem));
  const KeyAndCertificate other = CreateCa("home", clock_.Now()).value();
  EXPECT_THAT(gate_.Check(kHeartbeat, pem, other.certificate_pem), HasCode(kRefused));
  EXPECT_OK(Check(kHeartbeat, pem));
}

TEST_F(GateTest, RefusesWhatIsNoCertificateOrTheCa) {
  EXPECT_THAT(Check(kHeartbeat, "garbage"), HasCode(kRefused));
  EXPECT_THAT(Check("/ember.v1.EnrolService/Join", "garbage"), HasCode(kRefused));
  EXPECT_THAT(Check(kHeartbeat, ca_.certificate_pem), HasCode(kRefused));
}

TEST_F(GateTest, RefusalsSayWhatToDo) {
  EXPECT_NE(HintOf(Check(kHeartbeat, "")), "");
  EXPECT_NE(HintOf(Check(kHeartbeat, Certificate(ca_, "viewer", "mia"))), "");
}

TEST(VerifiedCertificatesTest, FindsOnlyWhatPassed) {
  testing::FakeClock clock;
  const KeyAndCertificate ca = CreateCa("home", clock.Now()).value();
  const std::string pem = SignCsr(ca, CreateCsr(NewPrivateKeyPem()).value(), "agent", "nas1",
                                  clock.Now(), absl::Hours(1))
                              .value();
  VerifiedCertificates certificates;
  EXPECT_FALSE(certificates.Find(pem).has_value());
  EXPECT_FALSE(
      certificates.Verify(CreateCa("home", clock.Now())->certificate_pem, pem, clock.Now()).ok());
  EXPECT_FALSE(certificates.Find(pem).has_value());
  EXPECT_OK(certificates.Verify(ca.certificate_pem, pem, clock.Now()));
  EXPECT_EQ(certificates.Find(pem)->name, "nas1");
}

}  // namespace
}  // namespace ember::rpc
