// Any verb renews an identity that runs out soon.
#include "common/rpc/renewal.h"

#include "common/crypto/certificate.h"
#include "common/rpc/identity.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Renewing : public Session {
 protected:
  // An identity whose certificate has `left` of its 90 days.
  void SetUpWith(absl::Duration left) {
    const absl::Time made = clock_.Now() + left - kLife;
    ca_ = *CreateCa("estate", made);
    rpc::Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.certificate_pem =
        *SignCsr(ca_, *CreateCsr(identity.key_pem), "admin", "me", made, kLife);
    identity.ca_pem = ca_.certificate_pem;
    ASSERT_OK(rpc::SaveIdentity(directory_.Join("identity"), identity));
    script_.sign = [this](const std::string& csr) {
      return *SignCsr(ca_, csr, "admin", "me", clock_.Now(), kLife);
    };
  }
  absl::Time NotAfter() { return rpc::TermOf(directory_.Join("identity"))->not_after; }

  static constexpr absl::Duration kLife = absl::Hours(24 * 90);
  KeyAndCertificate ca_;
};

TEST_F(Renewing, HappensOnceWhenLessThanAThirdIsLeft) {
  SetUpWith(absl::Hours(24 * 20));
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(script_.calls, ElementsAre("ListNodes", "RenewIdentity"));
  EXPECT_EQ(NotAfter(), absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now() + kLife)));
  script_.calls.clear();
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(script_.calls, ElementsAre("ListNodes"));
}

TEST_F(Renewing, WaitsWhileMoreIsLeft) {
  SetUpWith(absl::Hours(24 * 40));
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(script_.calls, ElementsAre("ListNodes"));
}

TEST_F(Renewing, IsNotTriedWhenTheEmDoesNotAnswer) {
  SetUpWith(absl::Hours(24 * 20));
  script_.failure = absl::UnavailableError("gone");
  EXPECT_EQ(Ember({"node", "list"}), 6);
  EXPECT_THAT(script_.calls, ElementsAre("ListNodes"));
}

TEST_F(Renewing, AFailureIsALineAndTheVerbGoesOn) {
  SetUpWith(absl::Hours(24 * 20));
  const absl::Time before = NotAfter();
  script_.sign = nullptr;
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(err_, HasSubstr("runs out soon and could not be renewed"));
  EXPECT_EQ(NotAfter(), before);
}

}  // namespace
}  // namespace ember::cli
