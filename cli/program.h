// From a command line to an exit code.
#ifndef EMBER_CLI_PROGRAM_H_
#define EMBER_CLI_PROGRAM_H_

#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/exit_code.h"

namespace ember::cli {

// `arguments` without the program's name. Fills context.options, runs the verb, prints its error if
// it has one (three lines on `err`; with --json an object on `out`).
ExitCode Run(const std::vector<std::string>& arguments, Context& context);

// What `ember --help` prints.
std::string OverviewText();

// What `ember VERB --help` prints for each verb, each under a line with its name: the manual in one
// piece.
std::string AllHelpText();

}  // namespace ember::cli

#endif  // EMBER_CLI_PROGRAM_H_
