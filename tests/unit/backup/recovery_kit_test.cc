#include "common/backup/recovery_kit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/crypto/keybox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::backup {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;

const std::string kKey =
    absl::HexStringToBytes("00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef");

TEST(RecoveryKit, IsReadHoweverItWasTyped) {
  const std::string hex = absl::BytesToHexString(kKey);
  const std::string upper = absl::AsciiStrToUpper(hex);
  const std::string texts[] = {
      absl::StrCat("EMBER RECOVERY KIT\nWhoever holds it...\n\nestate:          e1\ncreated: x\n",
                   "recovery-key:    ", upper, "\n"),
      absl::StrCat("estate:e1\r\nrecovery-key:", hex, "\r\nface the facts\r\n"),
      absl::StrCat("  Estate : e1  \n  RECOVERY-KEY : ", hex.substr(0, 16), " ", hex.substr(16, 16),
                   "-", upper.substr(32, 16), "\n\t", hex.substr(48)),
      absl::StrCat("recovery-key: ", hex, "  # of the safe\nestate: e1")};
  for (const std::string& text : texts) {
    const auto kit = ParseRecoveryKit(text);
    ASSERT_OK(kit) << text;
    EXPECT_EQ(kit->private_key, kKey) << text;
    EXPECT_EQ(kit->estate_id, "e1") << text;
  }
  EXPECT_EQ(ParseRecoveryKit(absl::StrCat("recovery-key: ", hex))->estate_id, "");
}

TEST(RecoveryKit, SaysWhatIsWrongWithIt) {
  const std::string hex = absl::BytesToHexString(kKey);
  const std::pair<std::string, std::string> table[] = {
      {"", "no line `recovery-key"},
      {"estate: e1\nkey: 00", "no line `recovery-key"},
      {"my recovery-key is " + hex, "no line `recovery-key"},
      {"recovery-key:", "has 0 digits"},
      {"recovery-key: " + hex.substr(1), "has 63 digits"},
      {"recovery-key: " + hex.substr(0, 30) + "O" + hex.substr(31), "has 30 digits"},
      {"recovery-key: " + hex + "0", "more than 64"}};
  for (const auto& [text, why] : table)
    EXPECT_THAT(ParseRecoveryKit(text), HasCodeAndText(StatusCode::kInvalidArgument, why)) << text;
}

class DomainBoxes : public ::testing::Test {
 protected:
  DomainBoxes() {
    secrets_.set_version(1);
    secrets_.set_id_key(std::string(32, 'i'));
    secrets_.set_private_key(domain_.private_key);
    boxes_.set_domain_id("node-a");
    boxes_.set_estate_id("e1");
  }
  void AddBox(const X25519KeyPair& recipient) {
    boxes_.add_boxes(
        *SealToPublicKey(recipient.public_key, "node-a", secrets_.SerializeAsString()));
  }

  const X25519KeyPair domain_ = NewX25519KeyPair();
  const X25519KeyPair recovery_ = NewX25519KeyPair();
  const RecoveryKit kit_{.estate_id = "e1", .private_key = recovery_.private_key};
  format::v1::DomainSecrets secrets_;
  format::v1::DomainBoxes boxes_;
};

TEST_F(DomainBoxes, OpenWithTheirKitWhicheverBoxItIs) {
  AddBox(NewX25519KeyPair());
  AddBox(recovery_);
  ASSERT_OK_AND_ASSIGN(const auto secrets, OpenDomain(kit_, boxes_));
  EXPECT_EQ(secrets.private_key(), domain_.private_key);
}

TEST_F(DomainBoxes, OfAnotherEstateNameBoth) {
  AddBox(NewX25519KeyPair());
  EXPECT_THAT(OpenDomain(kit_, boxes_),
              HasCodeAndText(StatusCode::kInvalidArgument, "copied with an error"));
  boxes_.set_estate_id("e2");
  EXPECT_THAT(OpenDomain(kit_, boxes_),
              HasCodeAndText(StatusCode::kInvalidArgument,
                             "the kit is of estate e1, the backups are of estate e2"));
  boxes_.clear_boxes();
  AddBox(recovery_);
  boxes_.set_domain_id("node-b");
  EXPECT_THAT(OpenDomain(kit_, boxes_), HasCode(StatusCode::kInvalidArgument))
      << "a box is bound to its domain";
}

TEST_F(DomainBoxes, OfANewerVersionAreRefused) {
  secrets_.set_version(2);
  AddBox(recovery_);
  EXPECT_THAT(OpenDomain(kit_, boxes_), HasCode(StatusCode::kFailedPrecondition));
}

TEST_F(DomainBoxes, GiveTheKeysOfSessionsAndLeaveOutWhatDoesNotOpen) {
  std::vector<v1::Keybox> boxes(2);
  boxes[0].set_session_id("session-00000001");
  boxes[0].set_sealed(
      *SealToPublicKey(domain_.public_key, boxes[0].session_id(), std::string(32, 's')));
  boxes[1].set_session_id("session-00000002");
  boxes[1].set_sealed(boxes[0].sealed());  // another session's
  ASSERT_OK_AND_ASSIGN(const RestoreKeys keys, KeysOfDomain(secrets_)("node-a", boxes));
  EXPECT_EQ(keys.id_key, std::string(32, 'i'));
  ASSERT_EQ(keys.session_keys.size(), 1u);
  EXPECT_EQ(keys.session_keys.at("session-00000001"), std::string(32, 's'));
}

}  // namespace
}  // namespace ember::backup
