// ember status: one page.
#include "common/base/status.h"

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
#include "common/base/limits.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

void AppendSection(std::string& page, const Table& table, bool colors) {
  if (!table.empty()) absl::StrAppend(&page, "\n", table.Format(colors));
}

std::string Page(const Context& context, const v1::StatusReply& status, bool colors) {
  const v1::Em& em = status.em();
  std::string page = absl::StrCat("EM ", Escape(em.version()), ", estate ", Escape(em.estate_id()),
                                  ", started ", FormatAge(context, em.started()), "\n");
  if (em.observing()) {
    absl::StrAppend(
        &page, Styled("OBSERVING: made anew, or replaced; nothing is decided", Style::kBad, colors),
        "\n");
  }
  if (em.maintenance()) {
    const std::string until =
        em.has_maintenance_until()
            ? absl::StrCat(" until ", FormatTime(context, em.maintenance_until()))
            : "";
    absl::StrAppend(&page,
                    Styled(absl::StrCat("MAINTENANCE", until, ": nothing is recovered"),
                           Style::kWarning, colors),
                    "\n");
  }
  if (em.frozen()) {
    const std::string banner =
        absl::StrCat("FROZEN: no automatic recovery: ", Escape(em.frozen_reason()));
    absl::StrAppend(&page, Styled(banner, Style::kBad, colors), "\n");
  }
  AppendSection(page, NodeTable(context, status.nodes()), colors);
  AppendSection(page, WorkloadTable(status.workloads()), colors);
  AppendSection(page, VaultTable(status.vaults()), colors);
  AppendSection(page, RecoveryTable(context, status.recoveries()), colors);
  absl::StrAppend(&page, NextCommands(status.recoveries()));
  absl::StrAppend(&page, "\n");
  if (status.nodes().empty()) absl::StrAppend(&page, "no nodes yet: ember node token NODE\n");
  if (status.alarms().empty()) absl::StrAppend(&page, "no alarms\n");
  for (const std::string& alarm : status.alarms()) {
    absl::StrAppend(&page, Styled(absl::StrCat("ALARM: ", Escape(alarm)), Style::kBad, colors),
                    "\n");
  }
  return page;
}

absl::Status PrintOnce(Context& context, Client& client, bool watch) {
  EMBER_ASSIGN_OR_RETURN(const v1::StatusReply status,
                         client.Call(&Estate::Status, v1::StatusRequest()));
  if (context.options.json) {
    // A stream of objects is one per line.
    *context.out << JsonText(ToJson(status), !watch) << std::flush;
    return absl::OkStatus();
  }
  // A page that replaces the one before.
  const bool redraw = watch && context.out_terminal;
  std::string page = Page(context, status, ColorsWelcome(context));
  *context.out << (redraw ? "\x1b[H\x1b[2J" : "") << page << (watch && !redraw ? "\n" : "")
               << std::flush;
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Watch(Context& context, Client& client) {
  do {
    const absl::Status printed = PrintOnce(context, client, true);
    // A watch outlives the EM's restarts; every other error will not go away by itself.
    if (absl::IsUnavailable(printed)) {
      *context.err << Escape(printed.message()) << "; trying again\n" << std::flush;
    } else if (!printed.ok()) {
      return printed;
    }
  } while (!context.clock->Sleep(absl::Seconds(kWatchSeconds), context.interrupt->pressed));
  return kExitDone;
}

}  // namespace

Action DeclareStatus(CLI::App& app) {
  auto watch = std::make_shared<bool>(false);
  app.add_flag("--watch", *watch, "Redraw every 2 s until Ctrl-C");
  return [watch](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    if (*watch) return Watch(context, client);
    EMBER_RETURN_IF_ERROR(PrintOnce(context, client, false));
    return kExitDone;
  };
}

}  // namespace ember::cli
