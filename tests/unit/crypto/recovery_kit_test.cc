#include "common/crypto/recovery_kit.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

using absl::StatusCode;
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

TEST(RecoveryKit, IsWhatWasPrinted) {
  const RecoveryKit kit{.estate_id = "e1", .private_key = kKey, .ca_fingerprint = "00ff"};
  ASSERT_OK_AND_ASSIGN(const RecoveryKit read,
                       ParseRecoveryKit(FormatRecoveryKit(kit, absl::FromUnixSeconds(0))));
  EXPECT_EQ(read.estate_id, kit.estate_id);
  EXPECT_EQ(read.private_key, kit.private_key);
  EXPECT_EQ(read.ca_fingerprint, kit.ca_fingerprint);
}

}  // namespace
}  // namespace ember
