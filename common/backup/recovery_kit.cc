#include "common/backup/recovery_kit.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/keybox.h"

namespace ember::backup {
namespace {

constexpr size_t kKeyDigits = 64;
constexpr uint32_t kVersion = 1;

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
  const absl::string_view estate = FindField("estate", text);
  kit.estate_id = std::string(absl::StripAsciiWhitespace(estate.substr(0, estate.find('\n'))));
  return kit;
}

absl::StatusOr<format::v1::DomainSecrets> OpenDomain(const RecoveryKit& kit,
                                                     const format::v1::DomainBoxes& boxes) {
  for (const std::string& box : boxes.boxes()) {
    const auto opened = OpenWithPrivateKey(kit.private_key, boxes.domain_id(), box);
    if (!opened.ok()) continue;
    format::v1::DomainSecrets secrets;
    if (!secrets.ParseFromString(*opened)) continue;
    if (secrets.version() > kVersion) {
      return WithHint(absl::FailedPreconditionError(
                          absl::StrCat("the keys of domain '", boxes.domain_id(),
                                       "' cannot be used: a newer Ember sealed them")),
                      "use that version or a later one");
    }
    return secrets;
  }
  const std::string what =
      absl::StrCat("the recovery kit does not open domain '", boxes.domain_id(), "'");
  const auto named = [](const std::string& id) { return id.empty() ? "(not named)" : id; };
  if (!kit.estate_id.empty() && kit.estate_id == boxes.estate_id()) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(
                        what, ": kit and backups are both of estate ", kit.estate_id,
                        ", so its key was copied with an error, or is an earlier one")),
                    "compare the 64 digits of the recovery-key with the original");
  }
  return WithHint(absl::InvalidArgumentError(
                      absl::StrCat(what, ": the kit is of estate ", named(kit.estate_id),
                                   ", the backups are of estate ", named(boxes.estate_id()))),
                  "give the recovery kit of the estate that made the backups");
}

KeySource KeysOfDomain(format::v1::DomainSecrets secrets) {
  return
      [secrets = std::move(secrets)](
          const std::string&, const std::vector<v1::Keybox>& boxes) -> absl::StatusOr<RestoreKeys> {
        RestoreKeys keys{.id_key = secrets.id_key()};
        for (const v1::Keybox& box : boxes) {
          auto key = OpenWithPrivateKey(secrets.private_key(), box.session_id(), box.sealed());
          if (key.ok()) keys.session_keys[box.session_id()] = *std::move(key);
        }
        return keys;
      };
}

}  // namespace ember::backup
