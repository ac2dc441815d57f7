#include "common/crypto/certificate.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/digest.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

using testing::HasCode;
using testing::HasCodeAndText;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);
constexpr absl::Duration kLifetime = absl::Hours(24 * kCertificateDays);

class Certificate : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Sign(absl::string_view role, absl::string_view name) {
    return SignCsr(ca_, CreateCsr(key_).value(), role, name, kNow, kLifetime);
  }

  const KeyAndCertificate ca_ = CreateCa("home", kNow).value();
  const std::string key_ = NewPrivateKeyPem();
};

TEST_F(Certificate, SaysWhoItIsForAndVerifies) {
  ASSERT_OK_AND_ASSIGN(const std::string pem, Sign("agent", "nas1"));
  ASSERT_OK_AND_ASSIGN(const CertificateInfo info,
                       VerifyCertificate(ca_.certificate_pem, pem, kNow));
  EXPECT_EQ(info.estate_id, "home");
  EXPECT_EQ(info.role, "agent");
  EXPECT_EQ(info.name, "nas1");
  EXPECT_EQ(info.serial.size(), 32u);
  EXPECT_EQ(info.not_after, kNow + kLifetime);
  EXPECT_OK(CheckKeyMatches(pem, key_));
  EXPECT_EQ(TlsName("agent", "nas1"), "nas1.agent.ember");
}

TEST_F(Certificate, SerialsDiffer) {
  ASSERT_OK_AND_ASSIGN(const std::string one, Sign("agent", "nas1"));
  ASSERT_OK_AND_ASSIGN(const std::string two, Sign("agent", "nas1"));
  EXPECT_NE(ParseCertificate(one)->serial, ParseCertificate(two)->serial);
}

TEST_F(Certificate, IsValidForANodeWhoseClockIsADaySlow) {
  ASSERT_OK_AND_ASSIGN(const std::string pem, Sign("agent", "nas1"));
  EXPECT_OK(VerifyCertificate(ca_.certificate_pem, pem, kNow - absl::Hours(24)));
}

TEST_F(Certificate, RefusedBeforeAndAfterItsTime) {
  ASSERT_OK_AND_ASSIGN(const std::string pem, Sign("agent", "nas1"));
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, pem,
                                kNow - absl::Hours(kCertificateBackdateHours + 1)),
              HasCodeAndText(absl::StatusCode::kPermissionDenied, "not yet valid"));
  EXPECT_OK(VerifyCertificate(ca_.certificate_pem, pem, kNow + kLifetime - absl::Seconds(1)));
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, pem, kNow + kLifetime + absl::Seconds(1)),
              HasCodeAndText(absl::StatusCode::kPermissionDenied, "expired"));
}

TEST_F(Certificate, OfAnotherCaIsRefused) {
  const KeyAndCertificate other = CreateCa("home", kNow).value();
  ASSERT_OK_AND_ASSIGN(const std::string pem,
                       SignCsr(other, *CreateCsr(key_), "admin", "eve", kNow, kLifetime));
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, pem, kNow),
              HasCodeAndText(absl::StatusCode::kPermissionDenied, "not from this estate's CA"));
}

TEST_F(Certificate, OfAMemberCannotSignOthers) {
  ASSERT_OK_AND_ASSIGN(const std::string member, Sign("agent", "nas1"));
  ASSERT_OK_AND_ASSIGN(const std::string forged,
                       SignCsr({key_, member}, *CreateCsr(key_), "admin", "eve", kNow, kLifetime));
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, forged, kNow),
              HasCode(absl::StatusCode::kPermissionDenied));
}

TEST_F(Certificate, TheCaItselfIsNoPeer) {
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, ca_.certificate_pem, kNow),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(ParseCertificate(ca_.certificate_pem)->estate_id, "home");
}

TEST_F(Certificate, NeverOutlivesTheCa) {
  ASSERT_OK_AND_ASSIGN(const std::string pem, SignCsr(ca_, *CreateCsr(key_), "agent", "nas1", kNow,
                                                      absl::Hours(24 * 365 * 100)));
  EXPECT_EQ(ParseCertificate(pem)->not_after, ParseCertificate(ca_.certificate_pem)->not_after);
}

TEST_F(Certificate, SignerRefusesBadNamesAndRoles) {
  EXPECT_THAT(Sign("agent", "a/b"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Sign("agent", "a,DNS:em.controller.ember"),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Sign("agent", ""), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Sign("agent", "*"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Sign("root", "eve"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Sign("ca", "ca"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CreateCa("a/b", kNow), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(Certificate, SignerRefusesARequestWithoutProofOfPossession) {
  std::string csr = CreateCsr(key_).value();
  EXPECT_THAT(SignCsr(ca_, "nonsense", "agent", "nas1", kNow, kLifetime),
              HasCode(absl::StatusCode::kInvalidArgument));
  // A changed letter near the end changes the signature (or its form).
  const size_t at = csr.rfind("\n-----END") - 12;
  csr[at] = csr[at] == 'A' ? 'B' : 'A';
  EXPECT_THAT(SignCsr(ca_, csr, "agent", "nas1", kNow, kLifetime),
              HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(Certificate, KeyOfAnotherCertificateIsNoticed) {
  ASSERT_OK_AND_ASSIGN(const std::string pem, Sign("agent", "nas1"));
  EXPECT_THAT(CheckKeyMatches(pem, NewPrivateKeyPem()),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckKeyMatches(pem, "no key"), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(Certificate, BadPemIsRefused) {
  EXPECT_THAT(ParseCertificate(""), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseCertificate(key_), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(VerifyCertificate(ca_.certificate_pem, "junk", kNow),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(CertificateFingerprint("junk"), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(Certificate, FingerprintIsOfTheDerForm) {
  ASSERT_OK_AND_ASSIGN(const std::string print, CertificateFingerprint(ca_.certificate_pem));
  EXPECT_EQ(print.size(), 64u);
  EXPECT_NE(print, Sha256Hex(ca_.certificate_pem));
  EXPECT_EQ(print, *CertificateFingerprint(absl::StrCat(ca_.certificate_pem, "trailing text\n")));
}

TEST(FetchCertificate, SaysWhenNobodyListens) {
  EXPECT_THAT(FetchCertificateByFingerprint("127.0.0.1:1", "00", absl::Seconds(2)),
              HasCodeAndText(absl::StatusCode::kUnavailable, "127.0.0.1:1"));
  EXPECT_THAT(FetchCertificateByFingerprint("nowhere", "00", absl::Seconds(2)),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember
