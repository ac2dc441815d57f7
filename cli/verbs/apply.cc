// ember apply: the plan first, then everything or nothing.
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
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

struct ApplyArguments {
  std::string file;
  bool dry_run = false;
};

absl::Status TooLarge(const std::string& file) {
  return WithHint(
      absl::InvalidArgumentError(absl::StrCat("cannot apply ", file, ": it is larger than ",
                                              FormatBytes(kEstateFileBytesMax))),
      "an estate file is text: check that this is the right file");
}

absl::StatusOr<std::string> ReadEstate(Context& context, const std::string& file) {
  if (file == "-") {
    std::string text(kEstateFileBytesMax + 1, '\0');
    context.in->read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(context.in->gcount()));
    if (text.size() > kEstateFileBytesMax) return TooLarge("stdin");
    return text;
  }
  auto text = ReadFile(file, kEstateFileBytesMax);
  if (absl::IsResourceExhausted(text.status())) return TooLarge(file);
  if (!text.ok()) {
    // A file that is not there is wrong usage: "not found" is for things of the estate.
    return WithHint(
        absl::InvalidArgumentError(
            absl::StrCat("cannot read the estate file: ", text.status().message())),
        "give the path of an estate file, or - for stdin; `ember export` prints the present one");
  }
  return text;
}

void PrintPlan(std::ostream& out, const v1::ApplyReply& reply, bool colors) {
  for (const v1::PlanLine& line : reply.plan()) {
    const bool create = line.action() == "create", remove = line.action() == "remove";
    const char* sign = create ? "+" : remove ? "-" : "~";
    const Style style = create ? Style::kGood : remove ? Style::kBad : Style::kWarning;
    const std::string text = Escape(absl::StrCat(line.kind(), " ", line.name(),
                                                 line.detail().empty() ? "" : ": ", line.detail()));
    out << Styled(absl::StrCat(sign, " ", line.action(), " ", text), style, colors) << "\n";
  }
}

std::string Question(const v1::ApplyReply& plan) {
  int removed = 0;
  for (const v1::PlanLine& line : plan.plan()) removed += line.action() == "remove";
  return absl::StrCat(
      "apply these ", Counted(plan.plan_size(), "change"),
      removed > 0 ? absl::StrCat(", of which ", removed, " remove something") : std::string());
}

absl::StatusOr<ExitCode> Apply(Context& context, const ApplyArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(std::string text, ReadEstate(context, arguments.file));
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ApplyRequest request;
  request.set_text(std::move(text));
  request.set_file(arguments.file == "-" ? "<stdin>" : arguments.file);
  request.set_dry_run(true);
  EMBER_ASSIGN_OR_RETURN(const v1::ApplyReply plan, client.Call(&Estate::Apply, request));

  for (const std::string& warning : plan.warnings())
    *context.err << "warning: " << Escape(warning) << "\n";
  const bool json = context.options.json;
  // With --json, stdout is for the answer; a person who is asked still sees what about.
  if (!json) PrintPlan(*context.out, plan, ColorsWelcome(context));
  if (json && plan.needs_confirmation() && context.err_terminal)
    PrintPlan(*context.err, plan, false);
  context.out->flush();
  if (plan.plan().empty() || arguments.dry_run) {
    if (json) return PrintJson(context, plan);
    *context.out << (plan.plan().empty() ? "nothing to change\n"
                                         : "nothing was changed (--dry-run)\n");
    return kExitDone;
  }

  if (plan.needs_confirmation()) EMBER_RETURN_IF_ERROR(Confirm(context, Question(plan)));
  request.set_dry_run(false);
  // Only what was shown is confirmed: should the estate have changed meanwhile, the EM refuses.
  request.set_confirmed(plan.needs_confirmation() || context.options.yes);
  EMBER_ASSIGN_OR_RETURN(const v1::ApplyReply reply, client.Call(&Estate::Apply, request));
  if (json) return PrintJson(context, reply);
  *context.out << "applied " << Counted(plan.plan_size(), "change") << "\n";
  return kExitDone;
}

}  // namespace

Action DeclareApply(CLI::App& app) {
  auto arguments = std::make_shared<ApplyArguments>();
  app.add_option("-f,--file", arguments->file, "The estate file, YAML or JSON; - reads stdin")
      ->type_name("FILE")
      ->required();
  app.add_flag("--dry-run", arguments->dry_run, "Only print the plan");
  return [arguments](Context& context) { return Apply(context, *arguments); };
}

Action DeclareExport(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::ExportReply reply,
                           client.Call(&Estate::Export, v1::ExportRequest()));
    if (context.options.json) return PrintJson(context, reply);
    *context.out << reply.yaml();
    return kExitDone;
  };
}

}  // namespace ember::cli
