// ember recovery ...
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
#include "cli/verbs/recovery_bundle.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::cli {
namespace {

std::string Measured(double seconds) {
  return seconds > 0 ? FormatExact(absl::Seconds(seconds)) : std::string();
}

std::string FieldsOf(const Context& context, const v1::Recovery& recovery) {
  return FormatFields({
      {"recovery", recovery.id()},
      {"workload", recovery.workload()},
      {"state", RecoveryStateCell(recovery).text},
      {"message", recovery.message()},
      {"cause", recovery.cause()},
      {"from node", recovery.node()},
      {"to node", recovery.target()},
      {"backup", recovery.backup_id()},
      {"started", FormatTime(context, recovery.started())},
      {"ended", recovery.has_ended() ? FormatTime(context, recovery.ended()) : ""},
      {"data loss", recovery.backup_id().empty()
                        ? ""
                        : FormatExact(absl::Seconds(recovery.data_loss_seconds()))},
      {"fence", recovery.fence_proof()},
      {"detection", Measured(recovery.detect_seconds())},
      {"fencing", Measured(recovery.fence_seconds())},
      {"planning", Measured(recovery.plan_seconds())},
      {"restore", Measured(recovery.restore_seconds())},
      {"start", Measured(recovery.start_seconds())},
      {"verification", Measured(recovery.verify_seconds())},
      {"total", Measured(recovery.total_seconds())},
  });
}

ExitCode PrintRecovery(Context& context, const v1::Recovery& recovery) {
  if (context.options.json) return PrintJson(context, recovery);
  std::ostream& out = *context.out;
  out << FieldsOf(context, recovery);
  for (const std::string& copy : recovery.safety_copies())
    out << "safety copy: " << Escape(copy) << "\n";
  if (recovery.steps_size() > 0) {
    out << "\n";
    Table steps({{"AFTER", true}, {"STEP"}, {"MESSAGE"}});
    const absl::Time start = rpc::FromTimestamp(recovery.started());
    for (const v1::RecoveryStep& step : recovery.steps()) {
      steps.Add({FormatExact(rpc::FromTimestamp(step.time()) - start),
                 v1::RecoveryState::Value_Name(step.state()), step.message()});
    }
    out << steps.Format(ColorsWelcome(context));
  }
  out << EscalationText(recovery.diagnostics(), recovery.next_command());
  return kExitDone;
}

absl::StatusOr<ExitCode> List(Context& context, const std::string& workload) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ListRecoveriesRequest request;
  request.set_workload(workload);
  EMBER_ASSIGN_OR_RETURN(const v1::ListRecoveriesReply reply,
                         client.Call(&Recoveries::ListRecoveries, request));
  if (context.options.json) return PrintJson(context, reply);
  if (reply.items().empty()) {
    *context.out << "no recoveries\n";
  } else {
    *context.out << RecoveryTable(context, reply.items()).Format(ColorsWelcome(context))
                 << NextCommands(reply.items());
  }
  return kExitDone;
}

absl::StatusOr<ExitCode> Plan(Context& context, const std::string& subject) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::PlanRecoveryRequest request;
  request.set_subject(subject);
  EMBER_ASSIGN_OR_RETURN(const v1::PlanRecoveryReply reply,
                         client.Call(&Recoveries::PlanRecovery, request));
  if (context.options.json) return PrintJson(context, reply);
  if (reply.items().empty()) {
    *context.out << "nothing would have to be recovered\n";
    return kExitDone;
  }
  Table table({{"WAVE", true},
               {"WORKLOAD", false, true},
               {"ACTION"},
               {"TARGET"},
               {"BACKUP"},
               {"LOSES"},
               {"REASON"}});
  for (const v1::PlanStep& step : reply.items()) {
    table.Add({absl::StrCat(step.wave()), step.workload(), step.action(), step.target(),
               step.backup_id(),
               step.backup_id().empty() ? "" : FormatRough(absl::Seconds(step.data_loss_seconds())),
               step.reason()});
  }
  *context.out << table.Format(ColorsWelcome(context)) << "preview only: nothing was changed\n";
  return kExitDone;
}

void PrintNames(std::ostream& out, absl::string_view what,
                const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.empty()) return;
  out << what;
  for (const std::string& name : names) out << " " << Escape(name);
  out << "\n";
}

absl::StatusOr<ExitCode> Arm(Context& context) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ArmRequest request;
  EMBER_ASSIGN_OR_RETURN(v1::ArmReply reply, client.Call(&Recoveries::Arm, request));
  if (!context.options.json) {
    PrintNames(*context.out, "heard:    ", reply.heard());
    PrintNames(*context.out, "not heard:", reply.unheard());
    for (const std::string& sentence : reply.corrected()) *context.out << Escape(sentence) << "\n";
  }
  EMBER_RETURN_IF_ERROR(Confirm(
      context, reply.unheard().empty()
                   ? "let this controller decide from now on"
                   : "let this controller decide from now on; nodes that were not heard will count "
                     "as dead when they stay silent"));
  request.set_confirmed(true);
  EMBER_ASSIGN_OR_RETURN(reply, client.Call(&Recoveries::Arm, request));
  if (context.options.json) return PrintJson(context, reply);
  *context.out << "armed\n";
  return kExitDone;
}

// show, approve and cancel differ in the call; a bundle is written where one is asked for.
using Method = grpc::Status (Recoveries::*)(grpc::ClientContext*, const v1::GetRecoveryRequest&,
                                            v1::Recovery*);

Action DeclareOne(CLI::App& app, Method method, std::shared_ptr<std::string> bundle = nullptr) {
  auto id = std::make_shared<std::string>();
  app.add_option("RECOVERY", *id, "The recovery's id")->type_name("")->required();
  return [id, method, bundle](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    v1::GetRecoveryRequest request;
    request.set_id(*id);
    EMBER_ASSIGN_OR_RETURN(const v1::Recovery recovery, client.Call(method, request));
    PrintRecovery(context, recovery);
    if (bundle == nullptr || bundle->empty()) return kExitDone;
    EMBER_RETURN_IF_ERROR(WriteRecoveryBundle(context, client, recovery, *bundle));
    if (!context.options.json)
      *context.out << "all that belongs to it: " << Escape(*bundle)
                   << " (names, paths and the end of a log are in it, no keys and no data)\n";
    return kExitDone;
  };
}

}  // namespace

Action DeclareRecoveryList(CLI::App& app) {
  auto workload = std::make_shared<std::string>();
  app.add_option("--workload", *workload, "Only this workload's")->type_name("WORKLOAD");
  return [workload](Context& context) { return List(context, *workload); };
}

Action DeclareRecoveryShow(CLI::App& app) {
  auto file = std::make_shared<std::string>();
  app.add_option("--bundle", *file, "Also write all that belongs to it into this file, as JSON")
      ->type_name("FILE");
  return DeclareOne(app, &Recoveries::GetRecovery, std::move(file));
}
Action DeclareRecoveryApprove(CLI::App& app) {
  return DeclareOne(app, &Recoveries::ApproveRecovery);
}
Action DeclareRecoveryCancel(CLI::App& app) { return DeclareOne(app, &Recoveries::CancelRecovery); }

Action DeclareRecoveryPlan(CLI::App& app) {
  auto subject = std::make_shared<std::string>();
  app.add_option("SUBJECT", *subject, "A workload or a node")->type_name("")->required();
  return [subject](Context& context) { return Plan(context, *subject); };
}

Action DeclareRecoveryArm(CLI::App&) {
  return [](Context& context) { return Arm(context); };
}

}  // namespace ember::cli
