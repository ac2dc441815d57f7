// The verbs that the interface names and that this version does not have.
#ifndef EMBER_CLI_LATER_H_
#define EMBER_CLI_LATER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ember::cli {

struct LaterVerb {
  const char* noun;
  const char* verb;  // "" when the noun is the whole command
};

// None of them is among Commands(): what is built leaves this list.
absl::Span<const LaterVerb> LaterVerbs();

// True when the noun has verbs of its own that come later.
bool HasLaterVerbs(absl::string_view noun);

// INVALID_ARGUMENT, which is wrong usage of this version, when the words name a verb that comes
// later, or a noun all of whose verbs do; OK otherwise. To be asked about words that are no
// command.
absl::Status CheckNotLater(absl::string_view noun, absl::string_view verb);

}  // namespace ember::cli

#endif  // EMBER_CLI_LATER_H_
