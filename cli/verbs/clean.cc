// ember clean: the retention rules, shown and carried out now.
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

struct CleanArguments {
  std::string workload;
  bool dry_run = false;
};

Table PlanTable(const Context& context, const v1::CleanPlan& plan) {
  Table table({{"BACKUP", false, true}, {"AGE", true}, {"SIZE", true}, {"VERDICT"}, {"WHY"}});
  for (const v1::CleanItem& item : plan.items()) {
    table.Add({item.id(), FormatAge(context, item.received()), FormatBytes(item.size_bytes()),
               item.keep() ? Cell("keep", Style::kGood) : Cell("remove", Style::kWarning),
               item.reason()});
  }
  return table;
}

// "db: 2 of 12 go, stored 2026-03-01 to 2026-04-01; the newest that stays is db/…"
std::vector<std::string> Losses(const Context& context, const v1::CleanPlan& plan) {
  struct Workload {
    int total = 0;
    std::vector<const v1::CleanItem*> go;  // newest first
    const v1::CleanItem* survivor = nullptr;
  };
  std::map<std::string, Workload> workloads;
  for (const v1::CleanItem& item : plan.items()) {
    Workload& workload = workloads[item.workload()];
    ++workload.total;
    if (!item.keep()) {
      workload.go.push_back(&item);
    } else if (workload.survivor == nullptr) {
      workload.survivor = &item;
    }
  }
  std::vector<std::string> lines;
  for (const auto& [name, workload] : workloads) {
    if (workload.go.empty()) continue;
    lines.push_back(absl::StrCat(
        name, ": ", workload.go.size(), " of ", workload.total, " go, stored ",
        FormatInstant(context, workload.go.back()->received()), " to ",
        FormatInstant(context, workload.go.front()->received()), "; the newest that stays is ",
        workload.survivor == nullptr ? "none" : workload.survivor->id()));
  }
  return lines;
}

absl::StatusOr<ExitCode> Delete(Context& context, Client& client, const v1::CleanPlan& plan) {
  v1::CleanRequest request;
  for (const v1::CleanItem& item : plan.items()) {
    if (!item.keep()) request.add_ids(item.id());
  }
  request.set_confirmed(context.options.yes);
  absl::StatusOr<v1::CleanReply> reply = client.Call(&Protection::Clean, request);
  if (!reply.ok()) {
    EMBER_RETURN_IF_ERROR(ConfirmRefused(
        context, reply.status(), absl::StrCat("remove ", Counted(request.ids_size(), "backup"))));
    request.set_confirmed(true);
    reply = client.Call(&Protection::Clean, request);
  }
  EMBER_RETURN_IF_ERROR(reply.status());
  for (const v1::CleanItem& kept : reply->kept())
    *context.err << Escape(kept.id()) << " stays by now: " << Escape(kept.reason()) << "\n";
  v1::CleanReply done;
  *done.mutable_kept() = reply->kept();
  for (const v1::Run& asked : reply->runs()) {
    const std::string what = absl::StrCat("the deletion of '", asked.backup_id(), "'");
    EMBER_ASSIGN_OR_RETURN(v1::Run run, WaitForRun(context, client, asked, what));
    EMBER_RETURN_IF_ERROR(FailureOf(run, what));
    *done.add_runs() = std::move(run);
  }
  if (context.options.json) {
    nlohmann::ordered_json json = ToJson(plan);
    json.update(ToJson(done));
    *context.out << JsonText(json);
    return kExitDone;
  }
  *context.out << "removed " << Counted(done.runs_size(), "backup")
               << "; to have one back: ember backup undelete BACKUP\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> Clean(Context& context, const CleanArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::PlanCleanRequest request;
  request.set_workload(arguments.workload);
  EMBER_ASSIGN_OR_RETURN(const v1::CleanPlan plan, client.Call(&Protection::PlanClean, request));
  const std::vector<std::string> losses = Losses(context, plan);
  if (context.options.json && (arguments.dry_run || losses.empty()))
    return PrintJson(context, plan);
  if (!context.options.json) {
    *context.out << PlanTable(context, plan).Format(ColorsWelcome(context));
    for (const std::string& line : losses) *context.out << Escape(line) << "\n";
    *context.out << (losses.empty() ? std::string("nothing goes")
                                    : absl::StrCat("frees up to ", FormatBytes(plan.freed_bytes()),
                                                   " when their time in the trash is over"))
                 << "\n"
                 << std::flush;
  }
  if (arguments.dry_run || losses.empty()) return kExitDone;
  return Delete(context, client, plan);
}

}  // namespace

Action DeclareClean(CLI::App& app) {
  auto arguments = std::make_shared<CleanArguments>();
  app.add_option("WORKLOAD", arguments->workload, "Only this workload's backups")->type_name("");
  app.add_flag("--dry-run", arguments->dry_run, "Only show what would go, and why the rest stays");
  return [arguments](Context& context) { return Clean(context, *arguments); };
}

}  // namespace ember::cli
