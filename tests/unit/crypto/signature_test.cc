#include "common/crypto/signature.h"

#include "common/base/clock.h"
#include "common/crypto/certificate.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

using testing::HasCode;

TEST(Signature, IsOfOneMessageByOneKey) {
  const absl::Time now = SystemClock()->Now();
  ASSERT_OK_AND_ASSIGN(const KeyAndCertificate one, CreateCa("one", now));
  ASSERT_OK_AND_ASSIGN(const KeyAndCertificate two, CreateCa("two", now));
  ASSERT_OK_AND_ASSIGN(const std::string signature, SignMessage(one.key_pem, "a message"));
  EXPECT_OK(CheckSignature(one.certificate_pem, "a message", signature));
  const auto denied = HasCode(absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(CheckSignature(one.certificate_pem, "a messagf", signature), denied);
  EXPECT_THAT(CheckSignature(one.certificate_pem, "", signature), denied);
  EXPECT_THAT(CheckSignature(two.certificate_pem, "a message", signature), denied);
  EXPECT_THAT(CheckSignature(one.certificate_pem, "a message", ""), denied);
  EXPECT_THAT(CheckSignature(one.certificate_pem, "a message", "no DER"), denied);
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string flipped = signature;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_THAT(CheckSignature(one.certificate_pem, "a message", flipped), denied) << i;
  }
}

TEST(Signature, WantsAKeyAndACertificate) {
  const auto invalid = HasCode(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(SignMessage("no key", "a message"), invalid);
  EXPECT_THAT(CheckSignature("no certificate", "a message", "x"), invalid);
}

TEST(Signature, OfNothingIsOne) {
  ASSERT_OK_AND_ASSIGN(const KeyAndCertificate ca, CreateCa("one", SystemClock()->Now()));
  ASSERT_OK_AND_ASSIGN(const std::string signature, SignMessage(ca.key_pem, ""));
  EXPECT_OK(CheckSignature(ca.certificate_pem, "", signature));
}

}  // namespace
}  // namespace ember
