#include "common/crypto/recovery_kit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember {
namespace {

constexpr size_t kKeyDigits = 64;

absl::Status NoKit(absl::string_view why) {
  return WithHint(
      absl::InvalidArgumentError(absl::StrCat("the recovery kit cannot be used: ", why)),
      "give the recovery-kit.txt that `ember-controller init` made, or a copy of it");
}

// True when the line at the start of `text` is the field; its value and all that follows is left.
bool ConsumeField(absl::string_view name, absl::string_view* text) {
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(*text);
  if (!absl::StartsWithIgnoreCase(rest, name)) return false;
  rest = absl::StripLeadingAsciiWhitespace(rest.substr(name.size()));
  if (!absl::ConsumePrefix(&rest, ":")) return false;
  *text = rest;
  return true;
}

// The text behind the first line that is the field; empty data() when there is none.
absl::string_view FindField(absl::string_view name, absl::string_view text) {
  while (!text.empty()) {
    absl::string_view value = text;
    if (ConsumeField(name, &value)) return value;
    const size_t end = text.find('\n');
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
  }
  return absl::string_view();
}

std::string FirstLine(absl::string_view text) {
  return std::string(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
}

absl::StatusOr<std::string> ParseKey(absl::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      // A whole key ends its line; what stands on later lines is not looked at.
      if (digits.size() == kKeyDigits) return NoKit("its recovery-key has more than 64 digits");
      digits.push_back(c);
    } else if (digits.size() == kKeyDigits ||
               (c != '-' && !absl::ascii_isspace(static_cast<unsigned char>(c)))) {
      break;
    }
  }
  if (digits.size() != kKeyDigits) {
    return NoKit(absl::StrCat("its recovery-key has ", digits.size(),
                              " digits before something else, and needs 64 (0-9, A-F)"));
  }
  return absl::HexStringToBytes(digits);
}

}  // namespace

absl::StatusOr<RecoveryKit> ParseRecoveryKit(absl::string_view text) {
  const absl::string_view key = FindField("recovery-key", text);
  if (key.data() == nullptr) return NoKit("it has no line `recovery-key: ...`");
  RecoveryKit kit;
  EMBER_ASSIGN_OR_RETURN(kit.private_key, ParseKey(key));
  kit.estate_id = FirstLine(FindField("estate", text));
  kit.ca_fingerprint = absl::AsciiStrToLower(FirstLine(FindField("ca-fingerprint", text)));
  return kit;
}

std::string FormatRecoveryKit(const RecoveryKit& kit, absl::Time created) {
  return absl::StrCat(
      "EMBER RECOVERY KIT\n"
      "Print this, keep it away from the machines it protects, then delete the file.\n"
      "Whoever holds it can read every backup of the estate; without it and without the EM nobody "
      "can.\n\n",
      "estate:          ", kit.estate_id, "\n",
      "created:         ", absl::FormatTime("%Y-%m-%d", created, absl::UTCTimeZone()), "\n",
      "ca-fingerprint:  ", kit.ca_fingerprint, "\n",
      "recovery-key:    ", absl::AsciiStrToUpper(absl::BytesToHexString(kit.private_key)), "\n");
}

}  // namespace ember
