#include "cli/later.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "common/base/errors.h"
#include "common/base/limits.h"

namespace ember::cli {
namespace {

constexpr LaterVerb kLater[] = {
    {"backup", "export"},    {"backup", "import"}, {"drill", "run"},  {"drill", "list"},
    {"audit", ""},           {"plan", ""},         {"report", ""},    {"approval", "list"},
    {"approval", "approve"}, {"approval", "deny"}, {"user", "add"},   {"user", "list"},
    {"user", "role"},        {"key", "kit"},       {"key", "verify"}, {"key", "rotate"},
    {"key", "shares"},
};

}  // namespace

absl::Span<const LaterVerb> LaterVerbs() { return kLater; }

bool HasLaterVerbs(absl::string_view noun) {
  for (const LaterVerb& later : kLater) {
    if (noun == later.noun && *later.verb != '\0') return true;
  }
  return false;
}

absl::Status CheckNotLater(absl::string_view noun, absl::string_view verb) {
  const auto commands = Commands();
  const bool noun_exists = std::any_of(commands.begin(), commands.end(),
                                       [&](const Command& each) { return noun == each.noun; });
  const bool listed = std::any_of(std::begin(kLater), std::end(kLater), [&](const LaterVerb& each) {
    return noun == each.noun && verb == each.verb;
  });
  if (!listed && (noun_exists || !HasLaterVerbs(noun))) return absl::OkStatus();
  return WithHint(absl::InvalidArgumentError(
                      absl::StrCat("`ember ", noun, verb.empty() ? "" : " ", verb,
                                   "` comes in a later version: ", kVersion, " does not have it")),
                  "ember --help lists what there is");
}

}  // namespace ember::cli
