// ember workload ..., ember beat.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

std::shared_ptr<std::string> DeclareName(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("WORKLOAD", *name, "The workload's name")->type_name("")->required();
  return name;
}

// Where data differ from what runs, and what became of them.
std::string LeftText(const v1::Workload& workload) {
  std::vector<std::string> lines;
  for (const v1::LeftCopy& left : workload.left()) {
    lines.push_back(
        absl::StrCat(left.node(), ": ",
                     !left.backup_id().empty() ? absl::StrCat("kept as ", left.backup_id())
                     : !left.problem().empty() ? absl::StrCat("not kept: ", left.problem())
                                               : "to be kept when it is back"));
  }
  return absl::StrJoin(lines, "; ");
}

ExitCode PrintWorkload(Context& context, const v1::Workload& workload) {
  if (context.options.json) return PrintJson(context, workload);
  *context.out << FormatFields({
      {"workload", workload.name()},
      {"state", WorkloadStateCell(workload).text},
      {"message", workload.message()},
      {"health", workload.health()},
      {"node", workload.node()},
      {"home node", workload.home_node() == workload.node() ? "" : workload.home_node()},
      {"epoch", absl::StrCat(workload.epoch())},
      {"criticality", v1::Criticality::Value_Name(workload.criticality())},
      {"depends on", absl::StrJoin(workload.depends_on(), ", ")},
      {"last backup", workload.last_backup()},
      {"backup age / RPO", RpoCell(workload).text},
      {"next backup",
       workload.has_next_backup() ? FormatTime(context, workload.next_backup()) : ""},
      {"backups", absl::StrCat(workload.backups())},
      {"RTO", RtoCell(workload).text},
      {"left behind on", LeftText(workload)},
      {"recovery", workload.recovery()},
  });
  *context.out << EscalationText(workload.diagnostics(), workload.next_command());
  return kExitDone;
}

// Says what was done: the state shown by the EM follows when the node has done it.
ExitCode PrintDone(Context& context, const v1::Workload& workload, absl::string_view done) {
  if (context.options.json) return PrintJson(context, workload);
  *context.out << done << " " << Escape(workload.name()) << ": now "
               << WorkloadStateCell(workload).text << (workload.node().empty() ? "" : " on ")
               << Escape(workload.node()) << "\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> Hold(Context& context, const std::string& name, bool hold) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::HoldWorkloadRequest request;
  request.set_name(name);
  request.set_hold(hold);
  EMBER_ASSIGN_OR_RETURN(const v1::Workload workload, client.Call(&Fleet::HoldWorkload, request));
  return PrintDone(context, workload, hold ? "holding" : "released");
}

}  // namespace

Action DeclareWorkloadList(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::ListWorkloadsReply reply,
                           client.Call(&Fleet::ListWorkloads, v1::ListWorkloadsRequest()));
    if (context.options.json) return PrintJson(context, reply);
    *context.out << WorkloadTable(reply.items()).Format(ColorsWelcome(context));
    return kExitDone;
  };
}

Action DeclareWorkloadShow(CLI::App& app) {
  auto name = DeclareName(app);
  return [name](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    v1::GetWorkloadRequest request;
    request.set_name(*name);
    EMBER_ASSIGN_OR_RETURN(const v1::Workload workload, client.Call(&Fleet::GetWorkload, request));
    return PrintWorkload(context, workload);
  };
}

Action DeclareWorkloadRestart(CLI::App& app) {
  auto name = DeclareName(app);
  return [name](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    v1::RestartWorkloadRequest request;
    request.set_name(*name);
    EMBER_ASSIGN_OR_RETURN(const v1::Workload workload,
                           client.Call(&Fleet::RestartWorkload, request));
    return PrintDone(context, workload, "restarting");
  };
}

Action DeclareWorkloadHold(CLI::App& app) {
  auto name = DeclareName(app);
  return [name](Context& context) { return Hold(context, *name, true); };
}

Action DeclareWorkloadRelease(CLI::App& app) {
  auto name = DeclareName(app);
  return [name](Context& context) { return Hold(context, *name, false); };
}

Action DeclareBeat(CLI::App& app) {
  auto name = DeclareName(app);
  return [name](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    v1::BeatRequest request;
    request.set_workload(*name);
    EMBER_ASSIGN_OR_RETURN(const v1::BeatReply reply, client.Call(&Fleet::Beat, request));
    // Silent when all is well: it runs from loops and timers.
    if (context.options.json) return PrintJson(context, reply);
    return kExitDone;
  };
}

}  // namespace ember::cli
