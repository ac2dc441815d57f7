#include "common/crypto/digest.h"

#include <set>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace ember {
namespace {

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }
std::string Bytes(absl::string_view hex) { return absl::HexStringToBytes(hex); }

TEST(Sha256, MatchesFips180Examples) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Hex(Sha256(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StreamGivesTheDigestOfTheConcatenation) {
  Sha256Stream stream;
  for (int i = 0; i < 1000; ++i) stream.Update(std::string(1000, 'a'));
  stream.Update("");
  EXPECT_EQ(Hex(stream.Finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StreamsAndSingleDigestsDoNotDisturbEachOther) {
  Sha256Stream one, two;
  one.Update("a");
  two.Update("x");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  one.Update("bc");
  EXPECT_EQ(Hex(one.Finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(two.Finish(), Sha256("x"));
}

TEST(HmacSha256, MatchesRfc4231) {
  EXPECT_EQ(Hex(HmacSha256(std::string(20, '\x0b'), {"Hi There"})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256("Jefe", {"what do ya want for nothing?"})),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hex(HmacSha256(std::string(20, '\xaa'), {std::string(50, '\xdd')})),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(Hex(HmacSha256(std::string(131, '\xaa'),
                           {"Test Using Larger Than Block-Size Key - Hash Key First"})),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, PartsAreConcatenated) {
  EXPECT_EQ(HmacSha256("Jefe", {"what do ya ", "", "want for ", "nothing?"}),
            HmacSha256("Jefe", {"what do ya want for nothing?"}));
  EXPECT_NE(HmacSha256("Jefe", {"a"}), HmacSha256("Jefe", {"b"}));
}

TEST(HmacSha256, EmptyKeyIsAKeyAndNotTheOneBefore) {
  HmacSha256("some other key", {"x"});
  // HMAC-SHA-256 of nothing under the empty key.
  const std::string expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  EXPECT_EQ(Hex(HmacSha256("", {})), expected);
  EXPECT_EQ(Hex(HmacSha256(absl::string_view(), {absl::string_view()})), expected);
}

TEST(HmacSha256, ThreadsDoNotDisturbEachOther) {
  const std::string data(256 << 10, 'd');
  std::vector<std::string> expected;
  for (int i = 0; i < 4; ++i)
    expected.push_back(HmacSha256(std::string(32, char('a' + i)), {data}));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n)
        wrong[i] += HmacSha256(std::string(32, char('a' + i)), {data}) != expected[i];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(HkdfSha256, MatchesRfc5869) {
  EXPECT_EQ(Hex(HkdfSha256(std::string(22, '\x0b'), Bytes("000102030405060708090a0b0c"),
                           Bytes("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(Hex(HkdfSha256(std::string(22, '\x0b'), "", "", 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(SecretEqual, ComparesContentAndLength) {
  EXPECT_TRUE(SecretEqual("abc", "abc"));
  EXPECT_TRUE(SecretEqual("", ""));
  EXPECT_FALSE(SecretEqual("abc", "abd"));
  EXPECT_FALSE(SecretEqual("abc", "ab"));
}

TEST(RandomBytes, HaveTheLengthAskedAndDiffer) {
  EXPECT_EQ(RandomBytes(0), "");
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(RandomBytes(16));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen.begin()->size(), 16u);
}

}  // namespace
}  // namespace ember
