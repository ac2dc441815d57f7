// ember workload move.
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
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::cli {
namespace {

struct MoveArguments {
  std::string workload;
  std::string node;
  bool no_wait = false;
};

// Tells of the steps that were not told yet.
void TellSteps(Context& context, const v1::Recovery& move, int* told) {
  const absl::Time start = rpc::FromTimestamp(move.started());
  for (; *told < move.steps_size(); ++*told) {
    const v1::RecoveryStep& step = move.steps(*told);
    *context.err << FormatExact(rpc::FromTimestamp(step.time()) - start) << "  "
                 << Escape(step.message()) << "\n"
                 << std::flush;
  }
}

absl::Status Interrupted(Client& client, const v1::Recovery& move) {
  v1::GetRecoveryRequest request;
  request.set_id(move.id());
  const absl::Status told = client.Call(&Recoveries::CancelRecovery, request).status();
  return WithHint(
      absl::CancelledError(absl::StrCat(
          told.ok() ? "calling off" : "stopped waiting for", " the move of '", move.workload(),
          "': Ctrl-C was pressed",
          told.ok() ? "" : absl::StrCat("; it could not be called off: ", told.message()))),
      absl::StrCat("ember recovery show ", move.id()));
}

// Outlives an EM that goes away for less than --timeout.
absl::StatusOr<v1::Recovery> WaitForMove(Context& context, Client& client, v1::Recovery move) {
  int told = 0;
  context.interrupt->armed = true;
  absl::Duration last_contact = context.clock->Monotonic();
  while (!move.has_ended()) {
    TellSteps(context, move, &told);
    if (context.clock->Sleep(absl::Milliseconds(kRunPollMillis), context.interrupt->pressed))
      return Interrupted(client, move);
    v1::GetRecoveryRequest request;
    request.set_id(move.id());
    auto reply = client.Call(&Recoveries::GetRecovery, request);
    const absl::Duration now = context.clock->Monotonic();
    if (reply.ok()) {
      last_contact = now;
      move = *std::move(reply);
    } else if (!absl::IsUnavailable(reply.status()) || now - last_contact > context.timeout()) {
      return Annotate(reply.status(), absl::StrCat("stopped waiting for ", move.id()));
    }
  }
  TellSteps(context, move, &told);
  return move;
}

absl::StatusOr<ExitCode> Move(Context& context, const MoveArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::MoveWorkloadRequest request;
  request.set_name(arguments.workload);
  request.set_node(arguments.node);
  EMBER_ASSIGN_OR_RETURN(v1::Recovery move, client.Call(&Fleet::MoveWorkload, request));
  const std::string target = move.target();
  if (arguments.no_wait) {
    if (context.options.json) return PrintJson(context, move);
    *context.out << move.id() << "\n";
    *context.err << "watch it with: ember recovery show " << Escape(move.id()) << "\n";
    return kExitDone;
  }
  EMBER_ASSIGN_OR_RETURN(move, WaitForMove(context, client, std::move(move)));
  if (move.state() != v1::RecoveryState::DONE || move.target() != target) {
    return WithHint(absl::AbortedError(absl::StrCat("'", move.workload(), "' was not moved to ",
                                                    target, ": ", move.message())),
                    absl::StrCat("ember recovery show ", move.id()));
  }
  if (context.options.json) return PrintJson(context, move);
  *context.out << "moved " << Escape(move.workload()) << " to " << Escape(target) << " in "
               << FormatExact(absl::Seconds(move.total_seconds())) << "\n";
  return kExitDone;
}

}  // namespace

Action DeclareWorkloadMove(CLI::App& app) {
  auto arguments = std::make_shared<MoveArguments>();
  app.add_option("WORKLOAD", arguments->workload, "The workload's name")->type_name("")->required();
  app.add_option("NODE", arguments->node, "One of its standby nodes (default: its home node)")
      ->type_name("");
  app.add_flag("--no-wait", arguments->no_wait, "Print the id of the move and return at once");
  return [arguments](Context& context) { return Move(context, *arguments); };
}

}  // namespace ember::cli
