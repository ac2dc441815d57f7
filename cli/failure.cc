#include "cli/failure.h"

#include <ostream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

// What to do next when the error itself does not say.
std::string HintFor(const absl::Status& status, const std::string& command) {
  if (std::string hint = HintOf(status); !hint.empty()) return hint;
  switch (ExitCodeOf(status)) {
    case kExitUsage: return absl::StrCat(command, " --help");
    case kExitRefused:
      return status.code() == absl::StatusCode::kFailedPrecondition
                 ? "if a confirmation is what is missing, run it again with --yes; else: ember "
                   "status"
                 : "check the role of the identity used (--identity)";
    case kExitNotFound: return "ember status";
    case kExitUnreachable:
      return "check that ember-controller runs, and its address (--em or EMBER_EM)";
    case kExitDamaged:
      return "choose another backup (ember backup list), and check the vault's disk";
    default:
      return "look at `ember events --since 1h` and the logs of ember-controller and ember-agent";
  }
}

// True for "estate.yaml:3:7: ..." : the place is the message's most useful part and stays in front.
bool NamesAPlace(absl::string_view message) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(message.substr(0, message.find(": ")), ':');
  int number = 0;
  return parts.size() >= 3 && absl::SimpleAtoi(parts[parts.size() - 1], &number) &&
         absl::SimpleAtoi(parts[parts.size() - 2], &number);
}

}  // namespace

ExitCode PrintFailure(Context& context, const std::string& command, const absl::Status& status) {
  const std::string hint = HintFor(status, command);
  if (context.options.json) {
    *context.out << JsonText(ErrorToJson(status, hint)) << std::flush;
    return ExitCodeOf(status);
  }
  const std::string message(status.message());
  std::ostream& err = *context.err;
  if (message.find('\n') != std::string::npos || NamesAPlace(message)) {
    // The problems of an estate file, one per line.
    for (absl::string_view line : absl::StrSplit(message, '\n', absl::SkipEmpty()))
      err << Escape(line) << "\n";
  } else {
    // Messages read "what: why" (common/base/errors.h).
    const size_t colon = message.find(": ");
    const bool both = colon != std::string::npos;
    err << "error: "
        << Escape(both ? message.substr(0, colon) : absl::StrCat("`", command, "` failed")) << "\n"
        << "  why: "
        << Escape(both              ? message.substr(colon + 2)
                  : message.empty() ? "no reason was given"
                                    : message)
        << "\n";
  }
  err << " next: " << Escape(hint) << "\n" << std::flush;
  return ExitCodeOf(status);
}

}  // namespace ember::cli
