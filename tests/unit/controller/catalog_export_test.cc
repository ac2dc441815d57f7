#include "controller/identity/catalog_export.h"

#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/crypto/signature.h"
#include "ember/format/v1/format.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;

const absl::Time kNow = absl::FromUnixSeconds(1800000000);

class CatalogExport : public ::testing::Test {
 protected:
  CatalogExport() {
    ca_ = *CreateCa("e1", kNow);
    contents_.mutable_meta()->set_estate_id("e1");
    contents_.set_recovery_public_key(recovery_.public_key);
    contents_.set_estate_key("secret");
    contents_.set_ca_key_pem(ca_.key_pem);
    contents_.set_ca_certificate_pem(ca_.certificate_pem);
    kit_ = {.estate_id = "e1",
            .private_key = recovery_.private_key,
            .ca_fingerprint = *CertificateFingerprint(ca_.certificate_pem)};
  }
  std::string Sealed() { return *SealCatalogExport(contents_, 5, kNow); }
  // With one part changed by someone who has no key.
  std::string Changed(const std::function<void(format::v1::CatalogExport*)>& change) {
    format::v1::CatalogExport whole;
    EXPECT_TRUE(whole.ParseFromString(Sealed()));
    change(&whole);
    return whole.SerializeAsString();
  }

  const X25519KeyPair recovery_ = NewX25519KeyPair();
  KeyAndCertificate ca_;
  record::v1::CatalogContents contents_;
  RecoveryKit kit_;
};

TEST_F(CatalogExport, IsOpenedByItsKitAlone) {
  const std::string bytes = Sealed();
  EXPECT_EQ(bytes.find("secret"), std::string::npos);
  EXPECT_EQ(bytes.find("PRIVATE KEY"), std::string::npos);
  ASSERT_OK_AND_ASSIGN(const OpenedExport opened, OpenCatalogExport(kit_, bytes));
  EXPECT_EQ(opened.number, 5u);
  EXPECT_EQ(opened.made, kNow);
  EXPECT_EQ(opened.contents.SerializeAsString(), contents_.SerializeAsString());

  RecoveryKit other = kit_;
  other.private_key = NewX25519KeyPair().private_key;
  EXPECT_THAT(OpenCatalogExport(other, bytes), HasCode(StatusCode::kDataLoss));
  other.estate_id = "e2";
  EXPECT_THAT(OpenCatalogExport(other, bytes),
              HasCodeAndText(StatusCode::kInvalidArgument, "the export is of estate e1"));
}

TEST_F(CatalogExport, ThatWasTouchedIsRefused) {
  EXPECT_THAT(OpenCatalogExport(kit_, "noise"), HasCode(StatusCode::kDataLoss));
  const std::string bytes = Sealed();
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_FALSE(OpenCatalogExport(kit_, flipped).ok()) << i;
  }
  EXPECT_FALSE(OpenCatalogExport(kit_, bytes.substr(0, bytes.size() - 1)).ok());
}

TEST_F(CatalogExport, OfAnotherMakerIsRefused) {
  // Whoever knows the recovery recipient can seal to it, with a CA of his own.
  const KeyAndCertificate thief = *CreateCa("e1", kNow);
  contents_.set_ca_key_pem(thief.key_pem);
  contents_.set_ca_certificate_pem(thief.certificate_pem);
  EXPECT_THAT(OpenCatalogExport(kit_, Sealed()),
              HasCodeAndText(StatusCode::kDataLoss, "whose CA the kit names"));
  // Or with the estate's own certificate, whose key he lacks.
  contents_.set_ca_certificate_pem(ca_.certificate_pem);
  EXPECT_THAT(OpenCatalogExport(kit_, Sealed()),
              HasCodeAndText(StatusCode::kDataLoss, "signature"));
}

TEST_F(CatalogExport, OfANewerEmberSaysSo) {
  const std::string newer = Changed([](format::v1::CatalogExport* whole) {
    format::v1::ExportHeader header;
    EXPECT_TRUE(header.ParseFromString(whole->header()));
    header.set_version(2);
    whole->set_header(header.SerializeAsString());
  });
  EXPECT_THAT(OpenCatalogExport(kit_, newer), HasCode(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace ember::controller
