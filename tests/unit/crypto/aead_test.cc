#include "common/crypto/aead.h"

#include "absl/strings/escaping.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

using testing::HasCode;

std::string Bytes(absl::string_view hex) { return absl::HexStringToBytes(hex); }

const std::string kKey(32, 'k');

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14 (also in NIST's
// CAVP set): the two whose nonce is a counter of this form.
TEST(Aead, MatchesTheGcmVectors) {
  const std::string zeros(32, '\0');
  EXPECT_EQ(Seal(zeros, 0, "", ""), Bytes("530f8afbc74536b9a963b4f1c4cb738b"));
  EXPECT_EQ(Seal(zeros, 0, "", std::string(16, '\0')),
            Bytes("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"));
  ASSERT_OK_AND_ASSIGN(
      const std::string opened,
      Open(zeros, 0, "",
           Bytes("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")));
  EXPECT_EQ(opened, std::string(16, '\0'));
}

TEST(Aead, OpensWhatWasSealed) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{1} << 20}) {
    const std::string plaintext(size, 'p');
    const std::string sealed = Seal(kKey, 7, "place", plaintext);
    EXPECT_EQ(sealed.size(), size + kAeadTagBytes);
    ASSERT_OK_AND_ASSIGN(const std::string opened, Open(kKey, 7, "place", sealed));
    EXPECT_EQ(opened, plaintext);
  }
}

TEST(Aead, EveryBitIsProtected) {
  const std::string sealed = Seal(kKey, 7, "place", "some text");
  for (size_t i = 0; i < sealed.size() * 8; ++i) {
    std::string damaged = sealed;
    damaged[i / 8] ^= 1 << (i % 8);
    EXPECT_THAT(Open(kKey, 7, "place", damaged), HasCode(absl::StatusCode::kDataLoss))
        << "bit " << i;
  }
}

TEST(Aead, AnotherKeyNonceOrPlaceDoesNotOpen) {
  const std::string sealed = Seal(kKey, 7, "place", "some text");
  EXPECT_THAT(Open(std::string(32, 'K'), 7, "place", sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open(kKey, 8, "place", sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open(kKey, 7 + (uint64_t{1} << 40), "place", sealed),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open(kKey, 7, "Place", sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open(kKey, 7, "", sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_OK(Open(kKey, 7, "place", sealed));
}

TEST(Aead, RefusesWhatCannotBeSealedBytes) {
  EXPECT_THAT(Open(kKey, 7, "", ""), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open(kKey, 7, "", std::string(15, 'x')), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open("short", 7, "", Seal(kKey, 7, "", "x")), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember
