#include "node-agent/link/token.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

constexpr char kPrefix[] = "ember1.";
constexpr size_t kFingerprintChars = 64;

absl::Status NotAToken(absl::string_view why) {
  return WithHint(absl::InvalidArgumentError(absl::StrCat("this is not a join token: ", why)),
                  "copy the whole word that `ember node token NODE` prints");
}

}  // namespace

std::string TokenText(const v1::JoinToken& token) {
  return absl::StrCat(kPrefix, absl::WebSafeBase64Escape(token.SerializeAsString()));
}

absl::StatusOr<v1::JoinToken> ParseToken(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, kPrefix))
    return NotAToken(absl::StrCat("it does not begin with ", kPrefix));
  std::string bytes;
  v1::JoinToken token;
  if (!absl::WebSafeBase64Unescape(text, &bytes) || !token.ParseFromString(bytes)) {
    return NotAToken("it is cut off or changed");
  }
  if (!absl::StrContains(token.em_address(), ":") || token.secret().empty() ||
      token.ca_fingerprint().size() != kFingerprintChars) {
    return NotAToken("a part is missing");
  }
  if (const absl::Status name = ValidateName("node", token.node()); !name.ok())
    return NotAToken(name.message());
  return token;
}

}  // namespace ember::agent
