// ember vault ...
#include <iostream>

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/status.h"

namespace ember::cli {

Action DeclareVaultList(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::ListVaultsReply reply,
                           client.Call(&Fleet::ListVaults, v1::ListVaultsRequest()));
    if (context.options.json) return PrintJson(context, reply);
    *context.out << VaultTable(reply.items()).Format(ColorsWelcome(context));
    return kExitDone;
  };
}

}  // namespace ember::cli
