// What the controller grants and what a vault's host acknowledges, in the hands of whoever carries
// it.
#include "common/rpc/signed.h"

#include <functional>

#include "common/base/clock.h"
#include "common/crypto/certificate.h"
#include "common/rpc/convert.h"
#include "tests/support/status_matchers.h"

namespace ember::rpc {
namespace {

using absl::StatusCode;
using testing::HasCode;
using testing::HasCodeAndText;

class SignedTest : public ::testing::Test {
 protected:
  SignedTest() : now_(SystemClock()->Now()), ca_(*CreateCa("home", now_)) {
    grant_.set_node("host1");
    grant_.set_workload("web");
    grant_.set_epoch(3);
    grant_.set_vault("nas");
    grant_.set_backup_id("web/20260101-000000");
    receipt_.set_backup_id("web/20260101-000000");
    receipt_.set_sequence(9);
    *receipt_.mutable_received() = ToTimestamp(now_);
  }
  Identity IdentityOf(const KeyAndCertificate& ca, absl::string_view role, absl::string_view name,
                      absl::Time from) {
    Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.ca_pem = ca.certificate_pem;
    identity.certificate_pem =
        *SignCsr(ca, *CreateCsr(identity.key_pem), role, name, from, absl::Hours(24));
    return identity;
  }
  v1::Signed ReceiptBy(const Identity& host) {
    v1::Signed signed_receipt;
    signed_receipt.set_statement(receipt_.SerializeAsString());
    EXPECT_OK(SignReceipt(host, &signed_receipt));
    return signed_receipt;
  }

  const absl::Time now_;
  const KeyAndCertificate ca_;
  v1::Grant grant_;
  v1::Receipt receipt_;
};

TEST_F(SignedTest, AGrantIsForWhatItNames) {
  ASSERT_OK_AND_ASSIGN(const v1::Signed given, SignGrant(ca_.key_pem, grant_));
  EXPECT_OK(CheckGrant(ca_.certificate_pem, given, grant_));
  const std::function<void(v1::Grant&)> others[] = {
      [](v1::Grant& grant) { grant.set_node("host2"); },
      [](v1::Grant& grant) { grant.set_workload("mail"); },
      [](v1::Grant& grant) { grant.set_epoch(UINT64_MAX); },
      [](v1::Grant& grant) { grant.set_vault("usb"); },
      [](v1::Grant& grant) { grant.set_backup_id("web/20260101-000001"); },
  };
  for (const auto& change : others) {
    v1::Grant needed = grant_;
    change(needed);
    EXPECT_THAT(CheckGrant(ca_.certificate_pem, given, needed),
                HasCodeAndText(StatusCode::kPermissionDenied, "web/20260101-000000"));
    v1::Signed forged = given;  // the words of one, the signature of the other
    forged.set_statement(needed.SerializeAsString());
    EXPECT_THAT(CheckGrant(ca_.certificate_pem, forged, needed),
                HasCodeAndText(StatusCode::kPermissionDenied, "not the controller's"));
  }
}

TEST_F(SignedTest, OnlyTheEstatesCaGrants) {
  const auto denied = HasCode(StatusCode::kPermissionDenied);
  EXPECT_THAT(CheckGrant(ca_.certificate_pem, v1::Signed(), grant_), denied);
  const KeyAndCertificate other = *CreateCa("home", now_);
  ASSERT_OK_AND_ASSIGN(const v1::Signed foreign, SignGrant(other.key_pem, grant_));
  EXPECT_THAT(CheckGrant(ca_.certificate_pem, foreign, grant_), denied);
  const Identity agent = IdentityOf(ca_, "agent", "host1", now_);
  ASSERT_OK_AND_ASSIGN(const v1::Signed own, SignGrant(agent.key_pem, grant_));
  EXPECT_THAT(CheckGrant(ca_.certificate_pem, own, grant_), denied);
  // Not even with a certificate of the CA beside it.
  v1::Signed with_certificate = own;
  with_certificate.set_certificate_pem(agent.certificate_pem);
  EXPECT_THAT(CheckGrant(ca_.certificate_pem, with_certificate, grant_), denied);
}

TEST_F(SignedTest, AReadGrantIsForOneNodeAndVault) {
  v1::ReadGrant grant;
  grant.set_node("host2");
  grant.set_vault("nas");
  grant.set_domain_id("node-host1");
  ASSERT_OK_AND_ASSIGN(const v1::Signed given, SignReadGrant(ca_.key_pem, grant));
  ASSERT_OK_AND_ASSIGN(const v1::ReadGrant opened,
                       OpenReadGrant(ca_.certificate_pem, given, "host2", "nas"));
  EXPECT_EQ(opened.domain_id(), "node-host1");
  const auto denied = HasCode(StatusCode::kPermissionDenied);
  EXPECT_THAT(OpenReadGrant(ca_.certificate_pem, given, "host3", "nas"), denied);
  EXPECT_THAT(OpenReadGrant(ca_.certificate_pem, given, "host2", "usb"), denied);
  EXPECT_THAT(OpenReadGrant(ca_.certificate_pem, v1::Signed(), "host2", "nas"), denied);
  v1::Signed forged = given;
  grant.set_every_domain(true);
  forged.set_statement(grant.SerializeAsString());
  EXPECT_THAT(OpenReadGrant(ca_.certificate_pem, forged, "host2", "nas"), denied);
  // One kind of grant is never taken for the other.
  ASSERT_OK_AND_ASSIGN(const v1::Signed of_session, SignGrant(ca_.key_pem, grant_));
  EXPECT_THAT(OpenReadGrant(ca_.certificate_pem, of_session, grant_.node(), grant_.vault()),
              denied);
}

TEST_F(SignedTest, AReceiptIsTheWordOfTheVaultsHost) {
  const Identity nas = IdentityOf(ca_, "agent", "nas1", now_);
  const v1::Signed receipt = ReceiptBy(nas);
  ASSERT_OK_AND_ASSIGN(const v1::Receipt opened,
                       OpenReceipt(ca_.certificate_pem, receipt, "nas1", now_));
  EXPECT_EQ(opened.SerializeAsString(), receipt_.SerializeAsString());
  EXPECT_THAT(OpenReceipt(ca_.certificate_pem, receipt, "nas2", now_),
              HasCodeAndText(StatusCode::kPermissionDenied, "'nas1'"));
  EXPECT_THAT(OpenReceipt(ca_.certificate_pem, v1::Signed(), "nas1", now_),
              HasCodeAndText(StatusCode::kPermissionDenied, "missing"));
  v1::Receipt later = receipt_;
  later.mutable_received()->set_seconds(later.received().seconds() + 60);
  v1::Signed moved = receipt;
  moved.set_statement(later.SerializeAsString());
  EXPECT_THAT(OpenReceipt(ca_.certificate_pem, moved, "nas1", now_),
              HasCode(StatusCode::kPermissionDenied));
}

TEST_F(SignedTest, NobodyElseSignsAReceipt) {
  const auto denied = HasCode(StatusCode::kPermissionDenied);
  const auto open = [&](const Identity& signer) {
    return OpenReceipt(ca_.certificate_pem, ReceiptBy(signer), "nas1", now_);
  };
  EXPECT_THAT(open(IdentityOf(ca_, "agent", "host1", now_)), denied);
  EXPECT_THAT(open(IdentityOf(ca_, "admin", "nas1", now_)), denied);
  EXPECT_THAT(open(IdentityOf(*CreateCa("home", now_), "agent", "nas1", now_)), denied);
  // A thief with its own key under the host's certificate, which everybody sees.
  Identity borrowed = IdentityOf(ca_, "agent", "nas1", now_);
  borrowed.key_pem = NewPrivateKeyPem();
  EXPECT_THAT(open(borrowed), denied);
}

// A vault whose clock was ahead once stamps what comes later still, for good.
TEST_F(SignedTest, TheCertificateMustBeValidNowWhateverTheReceiptsTime) {
  const Identity nas = IdentityOf(ca_, "agent", "nas1", now_);
  for (const absl::Duration away : {absl::ZeroDuration(), absl::Hours(24 * 365 * 30)}) {
    *receipt_.mutable_received() = ToTimestamp(now_ + away);
    const v1::Signed receipt = ReceiptBy(nas);
    EXPECT_OK(OpenReceipt(ca_.certificate_pem, receipt, "nas1", now_ + absl::Hours(23)));
    EXPECT_THAT(OpenReceipt(ca_.certificate_pem, receipt, "nas1", now_ + absl::Hours(25)),
                HasCode(StatusCode::kPermissionDenied));
  }
}

TEST_F(SignedTest, AGrantIsNoReceiptAndTheOtherWayRound) {
  const Identity nas = IdentityOf(ca_, "agent", "nas1", now_);
  v1::Signed receipt = ReceiptBy(nas);
  ASSERT_OK_AND_ASSIGN(const v1::Signed grant, SignGrant(nas.key_pem, grant_));
  receipt.set_statement(grant.statement());
  receipt.set_signature(grant.signature());
  EXPECT_THAT(OpenReceipt(ca_.certificate_pem, receipt, "nas1", now_),
              HasCode(StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace ember::rpc
