#include "common/crypto/keybox.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

using testing::HasCode;

std::string Bytes(absl::string_view hex) { return absl::HexStringToBytes(hex); }

// RFC 7748 section 6.1.
const std::string kAlicePrivate =
    Bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
const std::string kAlicePublic =
    Bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
const std::string kBobPrivate =
    Bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
const std::string kBobPublic =
    Bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
const std::string kShared =
    Bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");

TEST(Keybox, PublicKeysMatchRfc7748) {
  ASSERT_OK_AND_ASSIGN(const std::string alice, X25519PublicKey(kAlicePrivate));
  EXPECT_EQ(alice, kAlicePublic);
  ASSERT_OK_AND_ASSIGN(const std::string bob, X25519PublicKey(kBobPrivate));
  EXPECT_EQ(bob, kBobPublic);
  EXPECT_THAT(X25519PublicKey("short"), HasCode(absl::StatusCode::kInvalidArgument));
}

// A box built from the published agreement, by the format in the header: another program could read
// ours.
TEST(Keybox, OpensABoxMadeByTheDocumentedFormat) {
  const std::string key = HkdfSha256(kShared, kAlicePublic + kBobPublic, "ember keybox v1", 32);
  const std::string box = absl::StrCat("EKB1", kAlicePublic, Seal(key, 0, "session", "the secret"));
  ASSERT_OK_AND_ASSIGN(const std::string secret, OpenWithPrivateKey(kBobPrivate, "session", box));
  EXPECT_EQ(secret, "the secret");
}

TEST(Keybox, OpensWhatWasSealedAndTwoBoxesDiffer) {
  const X25519KeyPair pair = NewX25519KeyPair();
  ASSERT_OK_AND_ASSIGN(const std::string one,
                       SealToPublicKey(pair.public_key, "session", "secret"));
  ASSERT_OK_AND_ASSIGN(const std::string two,
                       SealToPublicKey(pair.public_key, "session", "secret"));
  EXPECT_NE(one, two);
  ASSERT_OK_AND_ASSIGN(const std::string secret,
                       OpenWithPrivateKey(pair.private_key, "session", one));
  EXPECT_EQ(secret, "secret");
}

TEST(Keybox, AnotherKeyOrContextDoesNotOpen) {
  const X25519KeyPair pair = NewX25519KeyPair();
  ASSERT_OK_AND_ASSIGN(const std::string box,
                       SealToPublicKey(pair.public_key, "session", "secret"));
  EXPECT_THAT(OpenWithPrivateKey(NewX25519KeyPair().private_key, "session", box),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OpenWithPrivateKey(pair.private_key, "Session", box),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST(Keybox, EveryByteIsProtected) {
  const X25519KeyPair pair = NewX25519KeyPair();
  ASSERT_OK_AND_ASSIGN(const std::string box,
                       SealToPublicKey(pair.public_key, "session", "secret"));
  for (size_t i = 0; i < box.size(); ++i) {
    std::string damaged = box;
    damaged[i] ^= 1;
    EXPECT_THAT(OpenWithPrivateKey(pair.private_key, "session", damaged),
                HasCode(absl::StatusCode::kDataLoss))
        << i;
  }
  for (size_t size = 0; size < box.size(); ++size) {
    EXPECT_THAT(OpenWithPrivateKey(pair.private_key, "session", box.substr(0, size)),
                HasCode(absl::StatusCode::kDataLoss));
  }
}

TEST(Keybox, RefusesWhatIsNotAPublicKey) {
  EXPECT_THAT(SealToPublicKey("", "c", "s"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(SealToPublicKey(std::string(31, 'x'), "c", "s"),
              HasCode(absl::StatusCode::kInvalidArgument));
  // Points of small order (RFC 7748 section 6.1): everybody would know the key.
  EXPECT_THAT(SealToPublicKey(std::string(32, '\0'), "c", "s"),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(SealToPublicKey("\x01" + std::string(31, '\0'), "c", "s"),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember
