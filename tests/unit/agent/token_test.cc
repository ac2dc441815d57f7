#include "node-agent/link/token.h"

#include "tests/support/status_matchers.h"

namespace ember::agent {
namespace {

using testing::HasCode;

v1::JoinToken Token() {
  v1::JoinToken token;
  token.set_em_address("em.lan:7443");
  token.set_ca_fingerprint(std::string(64, 'a'));
  token.set_node("nas1");
  token.set_secret("s3cret");
  return token;
}

TEST(Token, ComesBackAsItWasWithSpacesAround) {
  const std::string text = TokenText(Token());
  EXPECT_EQ(text.rfind("ember1.", 0), 0u);
  EXPECT_EQ(text.find_first_of(" +/=\n"), std::string::npos) << text;
  ASSERT_OK_AND_ASSIGN(const v1::JoinToken token, ParseToken(absl::StrCat("  ", text, "\n")));
  EXPECT_EQ(token.SerializeAsString(), Token().SerializeAsString());
}

TEST(Token, BadOnesAreRefused) {
  const std::string text = TokenText(Token());
  EXPECT_THAT(ParseToken(""), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseToken("ember1."), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseToken("ember2." + text.substr(7)), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseToken("ember1.!!!!"), HasCode(absl::StatusCode::kInvalidArgument));
  for (size_t size = 0; size < text.size(); size += 5) {
    EXPECT_THAT(ParseToken(text.substr(0, size)), HasCode(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

TEST(Token, APartMissingIsRefused) {
  for (int part = 0; part < 5; ++part) {
    v1::JoinToken token = Token();
    if (part == 0) token.clear_em_address();
    if (part == 1) token.set_ca_fingerprint("abc");
    if (part == 2) token.set_node("../etc");
    if (part == 3) token.clear_secret();
    if (part == 4) token.set_em_address("no-port");
    EXPECT_THAT(ParseToken(TokenText(token)), HasCode(absl::StatusCode::kInvalidArgument)) << part;
  }
}

}  // namespace
}  // namespace ember::agent
