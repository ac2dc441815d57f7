// ember restore: compare, ask, restore, say what was kept.
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::cli {
namespace {

struct RestoreArguments {
  std::string backup;
  std::string to;
  std::string at;
  std::vector<std::string> paths;
  bool dry_run = false;
  bool anyway = false;
};

absl::StatusOr<v1::RestoreRequest> MakeRequest(const Context& context,
                                               const RestoreArguments& arguments) {
  v1::RestoreRequest request;
  if (!arguments.at.empty()) {
    EMBER_ASSIGN_OR_RETURN(const absl::Time at, ParseSince(context, arguments.at));
    *request.mutable_at() = rpc::ToTimestamp(at);
  }
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

std::string Differences(const v1::RestoreResult& result) {
  return absl::StrCat(result.added(), " added, ", result.changed(), " changed, ", result.removed(),
                      " removed");
}

// Some names below the counts: enough to see what it is about.
void PrintChanges(std::ostream& out, const v1::RestoreResult& result) {
  for (const auto& [what, total] :
       {std::pair("removed", result.removed()), std::pair("changed", result.changed()),
        std::pair("added", result.added())}) {
    int shown = 0;
    for (const v1::PathProblem& change : result.changes()) {
      if (change.problem() != what || shown == kChangesShown) continue;
      out << "  " << what << " " << Escape(change.path()) << "\n";
      ++shown;
    }
    if (shown > 0 && total > shown) out << "  and " << total - shown << " more " << what << "\n";
  }
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

// For a shell, whatever the name holds.
std::string Quoted(absl::string_view path) {
  return absl::StrCat("'", absl::StrReplaceAll(path, {{"'", "'\\''"}}), "'");
}

// What to type to have back what was there before an in-place restore. A safety copy lies beside
// what it is of, or, of a mount point, inside it.
void PrintWayBack(Context& context, const v1::Run& run) {
  constexpr char kMark[] = ".ember-safety-";
  const v1::RestoreResult& result = run.restore();
  if (result.safety_copies().empty()) return;
  *context.out << "to go back to it: ember workload hold " << Escape(run.workload()) << "; then on "
               << Escape(run.node()) << ":\n";
  for (const std::string& copy : result.safety_copies()) {
    const size_t mark = copy.rfind(kMark);
    const std::string place = copy.substr(0, mark);
    *context.out << "  ";
    if (mark == std::string::npos || absl::EndsWith(place, "/")) {
      *context.out << "move what is in " << Escape(Quoted(copy)) << " back to where that is\n";
    } else {
      *context.out << "mv -T " << Escape(Quoted(place)) << " "
                   << Escape(Quoted(absl::StrCat(place, ".undone"))) << " && mv -T "
                   << Escape(Quoted(copy)) << " " << Escape(Quoted(place)) << "\n";
    }
  }
  *context.out << "  and then: ember workload release " << Escape(run.workload()) << "\n";
}

ExitCode PrintRestored(Context& context, const v1::Run& run, bool in_place) {
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
    if (in_place) PrintWayBack(context, run);
    context.out->flush();
  }
  if (run.restore().warnings_size() > 0) {
    PrintProblems(context, run.restore().warnings(), run.restore().warnings_size(),
                  "restored, with warnings");
  }
  return HolesToExit(context, run);
}

absl::StatusOr<ExitCode> Restore(Context& context, const RestoreArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(v1::RestoreRequest request, MakeRequest(context, arguments));
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  request.set_dry_run(true);
  EMBER_ASSIGN_OR_RETURN(const v1::Run comparison, RestoreToEnd(context, client, request));
  const std::string differences = Differences(comparison.restore());
  if (arguments.dry_run) {
    if (context.options.json) {
      PrintJson(context, comparison);
    } else {
      *context.out << differences << "; nothing was changed (--dry-run)\n";
      PrintChanges(*context.out, comparison.restore());
    }
    return HolesToExit(context, comparison);
  }

  // The names that "latest" and prefixes stood for when the differences were shown.
  if (!comparison.backup_id().empty()) {
    request.set_backup(comparison.backup_id());
    request.clear_at();
  }
  const std::string where = arguments.to.empty() ? "in place" : absl::StrCat("to ", arguments.to);
  const bool replaces = arguments.to.empty() || comparison.restore().changed() > 0 ||
                        comparison.restore().removed() > 0;
  *context.err << Escape(request.backup()) << " " << Escape(where) << ": " << differences
               << (replaces ? "; a safety copy is kept" : "") << "\n";
  PrintChanges(*context.err, comparison.restore());
  context.err->flush();
  if (replaces) {
    EMBER_RETURN_IF_ERROR(Confirm(context, absl::StrCat("restore ", request.backup(), " ", where)));
  }
  request.set_dry_run(false);
  request.set_confirmed(replaces || context.options.yes);
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RestoreToEnd(context, client, request));
  return PrintRestored(context, run, arguments.to.empty());
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
  app.add_option("--at", arguments->at, "The newest good backup by then; BACKUP may be a WORKLOAD")
      ->type_name("TIME");
  app.add_flag("--dry-run", arguments->dry_run, "Only show the differences");
  app.add_flag("--anyway", arguments->anyway, "Restore what can be read and list the holes");
  return [arguments](Context& context) { return Restore(context, *arguments); };
}

}  // namespace ember::cli
