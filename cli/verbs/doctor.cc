// ember doctor: what Ember needs of this machine, and what to do where it lacks.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "cli/doctor/finding.h"
#include "cli/json.h"
#include "cli/output.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

struct Words {
  const char* text;
  Style style;
};
constexpr Words kLevels[] = {
    {"ok", Style::kGood}, {"warn", Style::kWarning}, {"fail", Style::kBad}};

void PrintObject(Context& context, const std::vector<Finding>& findings) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const Finding& each : findings) {
    items.push_back({{"check", each.check},
                     {"level", kLevels[each.level].text},
                     {"message", each.message},
                     {"next", each.next}});
  }
  *context.out << JsonText({{"items", items}}) << std::flush;
}

void PrintLines(Context& context, const std::vector<Finding>& findings) {
  const bool colors = ColorsWelcome(context);
  for (const Finding& each : findings) {
    const Words& level = kLevels[each.level];
    *context.out << Styled(absl::StrFormat("%-4s", level.text), level.style, colors)
                 << absl::StrFormat("  %-11s  %s\n", each.check, Escape(each.message));
    if (!each.next.empty())
      *context.out << "                   next: " << Escape(each.next) << "\n";
  }
  context.out->flush();
}

ExitCode Examine(Context& context, const std::string& directory) {
  std::vector<Finding> findings;
  CheckHost(directory, &findings);
  CheckFileSystem(directory, &findings);
  CheckEm(context, &findings);
  if (context.options.json) {
    PrintObject(context, findings);
  } else {
    PrintLines(context, findings);
  }
  const bool failed = std::any_of(findings.begin(), findings.end(),
                                  [](const Finding& each) { return each.level == Finding::kFail; });
  return failed ? kExitFailed : kExitDone;
}

}  // namespace

Action DeclareDoctor(CLI::App& app) {
  auto directory = std::make_shared<std::string>("/var/tmp");
  app.add_option("DIR", *directory,
                 "Where data are or will be: its file system is tried (default /var/tmp)")
      ->type_name("");
  return [directory](Context& context) -> absl::StatusOr<ExitCode> {
    return Examine(context, *directory);
  };
}

}  // namespace ember::cli
