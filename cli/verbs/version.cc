// ember version.
#include <iostream>

#include "CLI/CLI.hpp"
#include "cli/command.h"
#include "cli/json.h"
#include "common/base/limits.h"
#include "nlohmann/json.hpp"

namespace ember::cli {

Action DeclareVersion(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    if (context.options.json) {
      *context.out << JsonText({{"version", kVersion}});
    } else {
      *context.out << "ember " << kVersion << "\n";
    }
    return kExitDone;
  };
}

}  // namespace ember::cli
