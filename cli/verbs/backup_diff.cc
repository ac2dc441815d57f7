// ember backup diff: what changed between two backups, page by page.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

struct DiffArguments {
  std::string before;
  std::string after;
  std::string path;
  bool attributes = false;
};

constexpr char kAttributes[] = "attributes";

char Sign(const std::string& change) {
  if (change == "added") return '+';
  if (change == "removed") return '-';
  return change == kAttributes ? 'a' : '~';
}

std::string Line(const v1::FileDifference& difference) {
  const v1::FileRow& shown = difference.has_after() ? difference.after() : difference.before();
  std::string line = absl::StrCat(std::string(1, Sign(difference.change())), " ",
                                  Escape(shown.path()), shown.type() == "directory" ? "/" : "");
  const bool both = difference.has_before() && difference.has_after();
  if (both && difference.before().type() != shown.type()) {
    absl::StrAppend(&line, "  (", difference.before().type(), " -> ", shown.type(), ")");
  } else if (shown.type() == "file" && both && difference.before().size() != shown.size()) {
    absl::StrAppend(&line, "  (", FormatBytes(difference.before().size()), " -> ",
                    FormatBytes(shown.size()), ")");
  } else if (shown.type() == "file" && !both) {
    absl::StrAppend(&line, "  (", FormatBytes(shown.size()), ")");
  }
  return line;
}

absl::StatusOr<ExitCode> Diff(Context& context, const DiffArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_ASSIGN_OR_RETURN(const v1::Backup before, FindBackup(client, arguments.before));
  EMBER_ASSIGN_OR_RETURN(const v1::Backup after, FindBackup(client, arguments.after));
  v1::DiffBackupsRequest request;
  request.set_backup(before.id());
  request.set_other(after.id());
  request.set_path(arguments.path);
  const std::string what =
      absl::StrCat("the comparison of '", before.id(), "' and '", after.id(), "'");
  v1::DiffResult all;  // with --json: one object at the end, or an error
  int64_t differences = 0, attributes = 0;
  bool more = true;
  while (more) {
    EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::DiffBackups, request));
    EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
    EMBER_RETURN_IF_ERROR(FailureOf(run, what));
    for (const v1::FileDifference& difference : run.diff().items()) {
      const bool minor = difference.change() == kAttributes;
      ++(minor ? attributes : differences);
      if (minor && !arguments.attributes) continue;
      if (context.options.json) {
        *all.add_items() = difference;
      } else {
        *context.out << Line(difference) << "\n";
      }
    }
    more = run.diff().more() && run.diff().items_size() > 0;
    if (more) {
      const v1::FileDifference& last = run.diff().items(run.diff().items_size() - 1);
      request.set_after((last.has_after() ? last.after() : last.before()).path());
    }
  }
  if (context.options.json) return PrintJson(context, all);
  if (differences == 0 && (attributes == 0 || !arguments.attributes))
    *context.err << "no file was added, removed or changed\n";
  if (attributes > 0 && !arguments.attributes) {
    *context.err << "of " << attributes
                 << " more only owner, mode or times differ (--attributes shows them)\n";
  }
  return kExitDone;
}

}  // namespace

Action DeclareBackupDiff(CLI::App& app) {
  auto arguments = std::make_shared<DiffArguments>();
  constexpr char kId[] = "Id, name, WORKLOAD@latest, WORKLOAD@TIME or a unique prefix";
  app.add_option("BEFORE", arguments->before, kId)->type_name("")->required();
  app.add_option("AFTER", arguments->after, kId)->type_name("")->required();
  app.add_option("PATH", arguments->path,
                 "Only this path and what is below, as it was on the machine")
      ->type_name("");
  app.add_flag("--attributes", arguments->attributes,
               "Also where only owner, mode, times or the like differ");
  return [arguments](Context& context) { return Diff(context, *arguments); };
}

}  // namespace ember::cli
