#include "common/backup/domain_keys.h"

#include "common/crypto/keybox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::backup {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;

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
