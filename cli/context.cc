#include "cli/context.h"

#include <istream>
#include <ostream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/output.h"
#include "common/base/errors.h"

namespace ember::cli {

bool ColorsWelcome(const Context& context) {
  return context.out_terminal && context.environment("NO_COLOR").empty() &&
         context.environment("TERM") != "dumb";
}

absl::Status Confirm(Context& context, absl::string_view what) {
  if (context.options.yes) return absl::OkStatus();
  if (!context.in_terminal || !context.err_terminal) return NeedsConfirmation(what);
  *context.err << Escape(what) << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(*context.in, answer);
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  if (answer == "y" || answer == "yes") return absl::OkStatus();
  return WithHint(absl::FailedPreconditionError("nothing was done: the answer was not yes"),
                  "run it again and answer y, or give --yes");
}

absl::Status ConfirmRefused(Context& context, const absl::Status& refused, absl::string_view what) {
  absl::string_view cost = refused.message();
  const absl::Status asks = NeedsConfirmation("");
  const bool can_ask = context.in_terminal && context.err_terminal;
  if (refused.code() != asks.code() || !absl::ConsumePrefix(&cost, asks.message()) || !can_ask)
    return refused;
  *context.err << Escape(cost) << "\n";
  return Confirm(context, what);
}

}  // namespace ember::cli
