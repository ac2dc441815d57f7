// ember restore: compare, ask, restore, say what was kept.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

struct RestoreArguments {
  std::string backup;
  std::string to;
  std::vector<std::string> paths;
  bool dry_run = false;
  bool anyway = false;
};

absl::StatusOr<v1::RestoreRequest> MakeRequest(const RestoreArguments& arguments) {
  v1::RestoreRequest request;
  request.set_backup(arguments.backup);
  request.set_anyway(arguments.anyway);
  for (const std::string& path : arguments.paths) request.add_paths(path);
  if (!arguments.to.empty()) {
    const size_t colon = arguments.to.find(':');
    if (colon == std::string::npos || colon == 0 || arguments.to.compare(colon + 1, 1, "/") != 0) {
      return WithHint(absl::InvalidArgumentError(absl::StrCat(
                          "'", arguments.to,
                          "' is not a target: ", "a node and an absolute directory are needed")),
                      "write --to NODE:/DIRECTORY");
    }
    request.set_to_node(arguments.to.substr(0, colon));
    request.set_to_directory(arguments.to.substr(colon + 1));
  }
  return request;
}

absl::StatusOr<v1::Run> RunToEnd(Context& context, Client& client,
                                 const v1::RestoreRequest& request) {
  const std::string what = absl::StrCat(
      request.dry_run() ? "the comparison with '" : "the restore of '", request.backup(), "'");
  EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::Restore, request));
  EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  return run;
}

std::string Differences(const v1::RestoreResult& result) {
  return absl::StrCat(result.added(), " added, ", result.changed(), " changed, ", result.removed(),
                      " removed");
}

// 3 when the backup could not be restored in full, and then what is missing on `err`.
ExitCode HolesToExit(Context& context, const v1::Run& run) {
  if (run.restore().holes_size() > 0) {
    PrintProblems(context, run.restore().holes(), run.restore().holes_size(),
                  "holes, not restored in full");
    return kExitPartial;
  }
  if (run.outcome() != v1::Outcome::PARTIAL) return kExitDone;
  PrintProblems(context, run.problems(), run.problems_total(), "not restored");
  return kExitPartial;
}

ExitCode PrintRestored(Context& context, const v1::Run& run) {
  if (context.options.json) {
    PrintJson(context, run);
  } else {
    const v1::RestoreResult& result = run.restore();
    *context.out << "restored " << Escape(run.backup_id()) << ": "
                 << Counted(result.files(), "file") << ", " << FormatBytes(result.bytes()) << ", "
                 << result.verified_files() << " verified\n";
    for (const std::string& copy : result.safety_copies()) {
      *context.out << "safety copy of what was there: " << Escape(copy) << "\n";
    }
    context.out->flush();
  }
  return HolesToExit(context, run);
}

absl::StatusOr<ExitCode> Restore(Context& context, const RestoreArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(v1::RestoreRequest request, MakeRequest(arguments));
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  request.set_dry_run(true);
  EMBER_ASSIGN_OR_RETURN(const v1::Run comparison, RunToEnd(context, client, request));
  const std::string differences = Differences(comparison.restore());
  if (arguments.dry_run) {
    if (context.options.json) {
      PrintJson(context, comparison);
    } else {
      *context.out << differences << "; nothing was changed (--dry-run)\n";
    }
    return HolesToExit(context, comparison);
  }

  // The names that "latest" and prefixes stood for when the differences were shown.
  if (!comparison.backup_id().empty()) request.set_backup(comparison.backup_id());
  const std::string where = arguments.to.empty() ? "in place" : absl::StrCat("to ", arguments.to);
  const bool replaces = arguments.to.empty() || comparison.restore().changed() > 0 ||
                        comparison.restore().removed() > 0;
  *context.err << Escape(request.backup()) << " " << Escape(where) << ": " << differences
               << (replaces ? "; a safety copy is kept" : "") << "\n"
               << std::flush;
  if (replaces) {
    EMBER_RETURN_IF_ERROR(Confirm(context, absl::StrCat("restore ", request.backup(), " ", where)));
  }
  request.set_dry_run(false);
  request.set_confirmed(replaces || context.options.yes);
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RunToEnd(context, client, request));
  return PrintRestored(context, run);
}

}  // namespace

Action DeclareRestore(CLI::App& app) {
  auto arguments = std::make_shared<RestoreArguments>();
  app.add_option("BACKUP", arguments->backup,
                 "Id, name, WORKLOAD@latest, WORKLOAD@TIME or a unique prefix")
      ->type_name("")
      ->required();
  app.add_option("--to", arguments->to, "Restore there instead of in place")->type_name("NODE:DIR");
  app.add_option("--path", arguments->paths, "Only this path and what is below; may be repeated")
      ->type_name("PATH")
      ->allow_extra_args(false);
  app.add_flag("--dry-run", arguments->dry_run, "Only show the differences");
  app.add_flag("--anyway", arguments->anyway, "Restore what can be read and list the holes");
  return [arguments](Context& context) { return Restore(context, *arguments); };
}

}  // namespace ember::cli
