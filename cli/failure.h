// How an error reaches the person or the script.
#ifndef EMBER_CLI_FAILURE_H_
#define EMBER_CLI_FAILURE_H_

#include <string>

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/exit_code.h"

namespace ember::cli {

// Three lines on `err`: what failed, why, what to do next; with --json the error object on `out`.
// `command` is what was run, for messages that do not say it themselves. Returns the exit code.
ExitCode PrintFailure(Context& context, const std::string& command, const absl::Status& status);

}  // namespace ember::cli

#endif  // EMBER_CLI_FAILURE_H_
