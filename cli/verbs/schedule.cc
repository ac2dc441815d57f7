// ember schedule next: the coming backups.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

absl::StatusOr<ExitCode> ListNext(Context& context, const v1::ListNextRunsRequest& request) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_ASSIGN_OR_RETURN(const v1::ListNextRunsReply reply,
                         client.Call(&Protection::ListNextRuns, request));
  if (context.options.json) return PrintJson(context, reply);
  Table table({{"WHEN"}, {""}, {"WORKLOAD"}, {"POLICY"}});
  for (const v1::NextRun& run : reply.items()) {
    table.Add({FormatInstant(context, run.time()), FormatAge(context, run.time()), run.workload(),
               run.policy()});
  }
  if (table.empty()) {
    *context.err << "no backup is scheduled\n";
    return kExitDone;
  }
  *context.out << table.Format(ColorsWelcome(context));
  return kExitDone;
}

}  // namespace

Action DeclareScheduleNext(CLI::App& app) {
  auto workload = std::make_shared<std::string>();
  auto count = std::make_shared<int>(1);
  app.add_option("WORKLOAD", *workload, "Only this workload's")->type_name("");
  app.add_option("--count", *count, "So many of each policy")
      ->type_name("N")
      ->check(CLI::Range(1, kNextRunsMax));
  return [workload, count](Context& context) {
    v1::ListNextRunsRequest request;
    request.set_workload(*workload);
    request.set_count(*count);
    return ListNext(context, request);
  };
}

}  // namespace ember::cli
