// ember node ...
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

// True when only this machine can dial `address` (HOST:PORT).
bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "localhost:") || absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "[::1]") || absl::StartsWith(address, "0.0.0.0:") ||
         absl::StartsWith(address, "[::]");
}

// Who reaches a silent node, and who does not.
std::string SightsText(const v1::Node& node) {
  std::vector<std::string> lines;
  for (const v1::PeerSight& sight : node.sights())
    lines.push_back(
        absl::StrCat(sight.node(), sight.answers() ? " reaches it" : " cannot reach it"));
  return absl::StrJoin(lines, ", ");
}

ExitCode PrintNode(Context& context, const v1::Node& node) {
  if (context.options.json) return PrintJson(context, node);
  std::string maintenance;
  if (node.maintenance()) {
    maintenance = node.has_maintenance_until()
                      ? absl::StrCat("until ", FormatTime(context, node.maintenance_until()))
                      : "until switched off";
  }
  *context.out << FormatFields({
      {"node", node.name()},
      {"state", NodeStateCell(node).text},
      {"last beat", FormatTime(context, node.last_beat())},
      {"version", node.version()},
      {"address", node.address()},
      {"seen by peers", SightsText(node)},
      {"maintenance", maintenance},
      {"drained",
       node.drained() ? absl::StrCat("yes; `ember node drain ", node.name(), " --off`") : ""},
      {"memory free",
       node.memory_available_bytes() > 0 ? FormatBytes(node.memory_available_bytes()) : ""},
      {"certificate expires", FormatTime(context, node.certificate_expires())},
      {"clock skew", FormatExact(absl::AbsDuration(absl::Seconds(node.clock_skew_seconds())))},
      {"workloads", absl::StrJoin(node.workloads(), ", ")},
  });
  return kExitDone;
}

struct TokenArguments {
  std::string node;
  std::string em_address;
};

absl::StatusOr<ExitCode> MakeToken(Context& context, const TokenArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::CreateTokenRequest request;
  request.set_node(arguments.node);
  request.set_em_address(arguments.em_address);
  request.set_dialled(client.address());
  EMBER_ASSIGN_OR_RETURN(const v1::CreateTokenReply reply,
                         client.Call(&Fleet::CreateToken, request));
  if (IsLoopback(reply.em_address())) {
    *context.err
        << "warning: the token says that the EM is at " << Escape(reply.em_address())
        << ", which only this machine can reach; for another machine use --em-address HOST:PORT\n";
  }
  if (context.options.json) return PrintJson(context, reply);
  *context.out << reply.token() << "\n" << std::flush;
  *context.err << "on the node:  ember-agent join " << Escape(reply.token()) << "\n"
               << "works once, expires " << FormatTime(context, reply.expires()) << "\n";
  return kExitDone;
}

struct MaintenanceArguments {
  std::string mode;
  std::string node;
  std::string duration;
  bool all = false;
};

absl::StatusOr<ExitCode> SetMaintenance(Context& context, const MaintenanceArguments& arguments) {
  v1::SetMaintenanceRequest request;
  request.set_name(arguments.node);
  request.set_on(arguments.mode == "on");
  if (!arguments.duration.empty()) {
    if (!request.on()) {
      return absl::InvalidArgumentError(
          "--for cannot be used here: it belongs to `node maintenance on`");
    }
    EMBER_ASSIGN_OR_RETURN(const absl::Duration duration, ParseDuration(arguments.duration));
    if (duration < absl::Seconds(1))
      return absl::InvalidArgumentError("--for is too short: at least 1s is needed");
    request.set_for_seconds(absl::ToInt64Seconds(duration));
  }
  if (arguments.all != arguments.node.empty()) {
    return absl::InvalidArgumentError(arguments.all ? "--all is every node: name none"
                                                    : "name a NODE, or --all for the whole estate");
  }
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  if (!arguments.all) {
    EMBER_ASSIGN_OR_RETURN(const v1::Node node, client.Call(&Fleet::SetMaintenance, request));
    return PrintNode(context, node);
  }
  EMBER_ASSIGN_OR_RETURN(const v1::Em em, client.Call(&Fleet::SetEstateMaintenance, request));
  if (context.options.json) return PrintJson(context, em);
  *context.out << "maintenance of the whole estate: "
               << (!em.maintenance() ? "off"
                   : em.has_maintenance_until()
                       ? absl::StrCat("until ", FormatTime(context, em.maintenance_until()))
                       : "on")
               << "\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> Drain(Context& context, const std::string& name, bool off) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::DrainNodeRequest request;
  request.set_name(name);
  request.set_on(!off);
  EMBER_ASSIGN_OR_RETURN(const v1::DrainNodeReply reply, client.Call(&Fleet::DrainNode, request));
  if (context.options.json) return PrintJson(context, reply);
  if (off) {
    *context.out << "node " << Escape(name) << " is used again\n";
    return kExitDone;
  }
  if (reply.items().empty()) {
    *context.out << "node " << Escape(name) << " is drained: nothing is placed there\n";
    return kExitDone;
  }
  Table table({{"WORKLOAD"}, {"MOVES TO"}, {"STAYS BECAUSE"}});
  for (const v1::DrainStep& step : reply.items())
    table.Add({step.workload(), step.target(), step.reason()});
  *context.out << table.Format(ColorsWelcome(context));
  *context.err
      << "one after the other, each backed up first; watch them with: ember recovery list\n"
      << "use the node again with: ember node drain " << Escape(name) << " --off\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> Remove(Context& context, const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_RETURN_IF_ERROR(Confirm(
      context, absl::StrCat("remove node ", name, " from the estate and revoke its certificates")));
  v1::RemoveNodeRequest request;
  request.set_name(name);
  EMBER_ASSIGN_OR_RETURN(const v1::Node node, client.Call(&Fleet::RemoveNode, request));
  if (context.options.json) return PrintJson(context, node);
  *context.out << "removed node " << Escape(name) << "\n";
  return kExitDone;
}

}  // namespace

Action DeclareNodeList(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::ListNodesReply reply,
                           client.Call(&Fleet::ListNodes, v1::ListNodesRequest()));
    if (context.options.json) return PrintJson(context, reply);
    *context.out << NodeTable(context, reply.items()).Format(ColorsWelcome(context));
    return kExitDone;
  };
}

Action DeclareNodeShow(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("NODE", *name, "The node's name")->type_name("")->required();
  return [name](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    v1::GetNodeRequest request;
    request.set_name(*name);
    EMBER_ASSIGN_OR_RETURN(const v1::Node node, client.Call(&Fleet::GetNode, request));
    return PrintNode(context, node);
  };
}

Action DeclareNodeToken(CLI::App& app) {
  auto arguments = std::make_shared<TokenArguments>();
  app.add_option("NODE", arguments->node, "The name of the node that will join")
      ->type_name("")
      ->required();
  app.add_option("--em-address", arguments->em_address,
                 "How the node reaches the EM (default: as it advertises, or as dialled)")
      ->type_name("HOST:PORT");
  return [arguments](Context& context) { return MakeToken(context, *arguments); };
}

Action DeclareNodeMaintenance(CLI::App& app) {
  auto arguments = std::make_shared<MaintenanceArguments>();
  app.add_option("on|off", arguments->mode, "Begin or end the maintenance")
      ->type_name("")
      ->check(CLI::IsMember({"on", "off"}).description(""))
      ->required();
  app.add_option("NODE", arguments->node, "The node's name")->type_name("");
  app.add_flag("--all", arguments->all, "The whole estate: nothing is recovered meanwhile");
  app.add_option("--for", arguments->duration, "End it by itself after this time, such as 2h")
      ->type_name("DURATION");
  return [arguments](Context& context) { return SetMaintenance(context, *arguments); };
}

Action DeclareNodeDrain(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto off = std::make_shared<bool>(false);
  app.add_option("NODE", *name, "The node's name")->type_name("")->required();
  app.add_flag("--off", *off, "End it: workloads may be moved to the node again");
  return [name, off](Context& context) { return Drain(context, *name, *off); };
}

Action DeclareNodeRemove(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("NODE", *name, "The node's name")->type_name("")->required();
  return [name](Context& context) { return Remove(context, *name); };
}

}  // namespace ember::cli
