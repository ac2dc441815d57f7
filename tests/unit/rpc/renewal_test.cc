#include "common/rpc/renewal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/identity.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::rpc {
namespace {

class Renewal : public ::testing::Test {
 protected:
  Renewal() : ca_(*CreateCa("estate", now_)), directory_(temp_.Join("identity")) {
    Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.certificate_pem = *Sign(*CreateCsr(identity.key_pem), "admin", "me");
    identity.ca_pem = ca_.certificate_pem;
    EXPECT_OK(SaveIdentity(directory_, identity));
  }
  absl::StatusOr<std::string> Sign(const std::string& csr, absl::string_view role,
                                   absl::string_view name) {
    return SignCsr(ca_, csr, role, name, now_, absl::Hours(24 * 90));
  }
  // What the controller answers: `role` and `name`, signed now.
  CertificateSigner As(absl::string_view role, absl::string_view name) {
    return [this, role = std::string(role), name = std::string(name)](const std::string& csr) {
      return Sign(csr, role, name);
    };
  }
  std::string Certificate() { return *ReadFile(JoinPath(directory_, "cert.pem")); }

  testing::TempDir temp_;
  absl::Time now_ = absl::FromCivil(absl::CivilDay(2026, 11, 26), absl::UTCTimeZone());
  KeyAndCertificate ca_;
  std::string directory_;
};

TEST_F(Renewal, IsDueInTheLastThirdOfTheCertificatesLifeAndNotAfterIt) {
  ASSERT_OK_AND_ASSIGN(const IdentityTerm term, TermOf(directory_));
  EXPECT_EQ(term.role, "admin");
  EXPECT_EQ(term.name, "me");
  EXPECT_FALSE(RenewalDue(term, now_));
  EXPECT_FALSE(RenewalDue(term, now_ + absl::Hours(24 * 59)));
  EXPECT_TRUE(RenewalDue(term, now_ + absl::Hours(24 * 61)));
  EXPECT_TRUE(RenewalDue(term, now_ + absl::Hours(24 * 89)));
  EXPECT_FALSE(RenewalDue(term, now_ + absl::Hours(24 * 91)));
}

TEST_F(Renewal, BringsACertificateForTheSameKeyThatLastsLonger) {
  ASSERT_OK_AND_ASSIGN(const Identity before, LoadIdentity(directory_));
  now_ += absl::Hours(24 * 70);
  ASSERT_OK(RenewCertificate(directory_, now_, As("admin", "me")));
  ASSERT_OK_AND_ASSIGN(const Identity after, LoadIdentity(directory_));
  EXPECT_EQ(after.key_pem, before.key_pem);
  EXPECT_NE(after.certificate_pem, before.certificate_pem);
  EXPECT_OK(CheckKeyMatches(after.certificate_pem, after.key_pem));
  ASSERT_OK_AND_ASSIGN(const IdentityTerm term, TermOf(directory_));
  EXPECT_EQ(term.not_after, now_ + absl::Hours(24 * 90));
  struct stat info;
  ASSERT_EQ(stat(JoinPath(directory_, "cert.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(Renewal, KeepsTheOldOneWhenTheAnswerIsAnotherRoleNameEstateOrNone) {
  const std::string before = Certificate();
  const KeyAndCertificate foreign = *CreateCa("other", now_);
  const CertificateSigner table[] = {
      As("viewer", "me"), As("admin", "you"),
      [&](const std::string& csr) {
        return SignCsr(foreign, csr, "admin", "me", now_, absl::Hours(1));
      },
      [&](const std::string&) { return Sign(*CreateCsr(NewPrivateKeyPem()), "admin", "me"); },
      [](const std::string&) -> absl::StatusOr<std::string> {
        return absl::UnavailableError("away");
      }};
  for (const CertificateSigner& signer : table) {
    EXPECT_FALSE(RenewCertificate(directory_, now_, signer).ok());
    EXPECT_EQ(Certificate(), before);
  }
}

TEST_F(Renewal, AsksForNothingThatItCouldNotStore) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  ASSERT_EQ(chmod(directory_.c_str(), 0500), 0);
  bool asked = false;
  EXPECT_FALSE(RenewCertificate(directory_, now_, [&](const std::string& csr) {
                 asked = true;
                 return Sign(csr, "admin", "me");
               }).ok());
  EXPECT_FALSE(asked);
  chmod(directory_.c_str(), 0700);
}

}  // namespace
}  // namespace ember::rpc
