// ember backup list: the backups there are, and, when asked, what restoring each would change now.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

struct ListArguments {
  std::string workload;
  bool compare = false;
};

// What a check or a verification found is said before what the backup itself was.
Cell StateCell(const v1::Backup& backup) {
  if (backup.trashed()) return Cell("in trash", Style::kWarning);
  return backup.damaged() ? Cell("damaged", Style::kBad) : OutcomeCell(backup.outcome());
}

absl::Status CompareWithNow(Context& context, Client& client, v1::Backup* backup) {
  v1::RestoreRequest request;
  request.set_backup(backup->id());
  request.set_dry_run(true);
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RestoreToEnd(context, client, request));
  v1::Difference* difference = backup->mutable_difference();
  difference->set_added(run.restore().added());
  difference->set_changed(run.restore().changed());
  difference->set_removed(run.restore().removed());
  return absl::OkStatus();
}

// One that cannot be compared is said and passed over: 3.
absl::StatusOr<ExitCode> CompareAll(Context& context, Client& client, v1::ListBackupsReply* reply) {
  ExitCode exit = kExitDone;
  for (v1::Backup& backup : *reply->mutable_items()) {
    const bool stored =
        backup.outcome() == v1::Outcome::OK || backup.outcome() == v1::Outcome::PARTIAL;
    if (!stored || backup.trashed()) continue;
    const absl::Status compared = CompareWithNow(context, client, &backup);
    if (absl::IsCancelled(compared) || absl::IsUnavailable(compared)) return compared;
    if (compared.ok()) continue;
    *context.err << Escape(backup.id()) << " cannot be compared: " << Escape(compared.message())
                 << "\n";
    exit = kExitPartial;
  }
  return exit;
}

Table ListTable(const v1::ListBackupsReply& reply) {
  Table table({{"BACKUP", false, true},
               {"NAME"},
               {"AGE", true},
               {"SIZE", true},
               {"ADDED", true},
               {"FILES", true},
               {"OUTCOME"},
               {"VERIFIED"},
               {"VERSION"},
               {"REASON"}});
  for (const v1::Backup& backup : reply.items()) {
    table.Add({backup.id(), backup.name(), FormatRough(absl::Seconds(backup.age_seconds())),
               FormatBytes(backup.size_bytes()), FormatBytes(backup.added_bytes()),
               absl::StrCat(backup.files()), StateCell(backup),
               absl::StrCat(VerifiedText(backup), backup.pinned() ? ", pinned" : ""),
               backup.version(), backup.reason()});
  }
  return table;
}

Table ComparisonTable(const v1::ListBackupsReply& reply) {
  Table table({{"BACKUP", false, true},
               {"NAME"},
               {"AGE", true},
               {"FILES", true},
               {"OUTCOME"},
               {"WOULD ADD", true},
               {"CHANGE", true},
               {"REMOVE", true}});
  for (const v1::Backup& backup : reply.items()) {
    const auto count = [&](int64_t entries) {
      return backup.has_difference() ? absl::StrCat(entries) : std::string("-");
    };
    table.Add({backup.id(), backup.name(), FormatRough(absl::Seconds(backup.age_seconds())),
               absl::StrCat(backup.files()), StateCell(backup), count(backup.difference().added()),
               count(backup.difference().changed()), count(backup.difference().removed())});
  }
  return table;
}

absl::StatusOr<ExitCode> ListBackups(Context& context, const ListArguments& arguments) {
  if (arguments.compare && arguments.workload.empty()) {
    return WithHint(absl::InvalidArgumentError("--compare needs a WORKLOAD"),
                    "ember backup list WORKLOAD --compare");
  }
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ListBackupsRequest request;
  request.set_workload(arguments.workload);
  EMBER_ASSIGN_OR_RETURN(v1::ListBackupsReply reply,
                         client.Call(&Protection::ListBackups, request));
  ExitCode exit = kExitDone;
  if (arguments.compare) {
    EMBER_ASSIGN_OR_RETURN(exit, CompareAll(context, client, &reply));
  }
  if (context.options.json) {
    PrintJson(context, reply);
    return exit;
  }
  const Table table = arguments.compare ? ComparisonTable(reply) : ListTable(reply);
  *context.out << table.Format(ColorsWelcome(context)) << Counted(reply.items_size(), "backup")
               << ", " << FormatBytes(reply.stored_bytes()) << " stored\n";
  for (const std::string& line : reply.retention()) *context.out << Escape(line) << "\n";
  if (reply.retention_size() > 0) *context.out << "what goes, and why: ember clean --dry-run\n";
  return exit;
}

}  // namespace

Action DeclareBackupList(CLI::App& app) {
  auto arguments = std::make_shared<ListArguments>();
  app.add_option("WORKLOAD", arguments->workload, "Only this workload's")->type_name("");
  app.add_flag("--compare", arguments->compare,
               "Compare each with what is there now: what would a restore change?");
  return [arguments](Context& context) { return ListBackups(context, *arguments); };
}

}  // namespace ember::cli
