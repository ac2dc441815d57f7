// What a script learns from `ember`: the exit codes, documented in every --help.
#ifndef EMBER_CLI_EXIT_CODE_H_
#define EMBER_CLI_EXIT_CODE_H_

#include "absl/status/status.h"

namespace ember::cli {

enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,    // wrong usage or invalid file
  kExitPartial = 3,  // done in part: something was not read or not restored
  kExitRefused = 4,  // needs confirmation, approval, a role, or a guard said no
  kExitNotFound = 5,
  kExitUnreachable = 6,  // the EM did not answer within --timeout
  kExitDamaged = 7,      // corrupt or missing data
};

ExitCode ExitCodeOf(const absl::Status& status);

// One line for --help.
inline constexpr char kExitStatusLine[] =
    "EXIT STATUS: 0 done, 1 failed, 2 usage, 3 partial, 4 refused, 5 not found, 6 no EM, 7 damaged "
    "data";

}  // namespace ember::cli

#endif  // EMBER_CLI_EXIT_CODE_H_
