#include "cli/program.h"

#include <memory>
#include <ostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/later.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"

namespace ember::cli {
namespace {

constexpr char kEmHelp[] = "The controller's address (EMBER_EM)";
constexpr char kIdentityHelp[] = "Directory with key.pem, cert.pem, ca.pem (EMBER_IDENTITY)";
constexpr char kJsonHelp[] = "Answer and errors as JSON on stdout";
constexpr char kYesHelp[] = "Do not ask: yes to what needs confirmation";
constexpr char kTimeoutHelp[] = "How long the EM may take to answer (default 10)";

// A command line split into the words that name the verb and everything else.
struct Words {
  std::string noun;
  std::string verb;
  std::vector<std::string> rest;
  bool help = false;
  bool version = false;
  bool json = false;
};

bool TakesValue(absl::string_view option) {
  return option == "--em" || option == "--identity" || option == "--timeout";
}

bool HasVerbs(absl::string_view noun) {
  for (const Command& command : Commands()) {
    if (noun == command.noun && *command.verb != '\0') return true;
  }
  return false;
}

// Global options may stand anywhere, so the verb is the first one or two words that are neither
// options nor values of global options.
Words Split(const std::vector<std::string>& arguments) {
  Words words;
  bool named = false;  // the verb's words are complete
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const bool option = absl::StartsWith(word, "-");
    words.help |= word == "--help" || word == "-h";
    words.json |= word == "--json";
    words.version |= !named && word == "--version";
    if (!named && !option) {
      if (words.noun.empty()) {
        words.noun = word;
        named = !HasVerbs(word) && !HasLaterVerbs(word);
      } else {
        words.verb = word;
        named = true;
      }
      continue;
    }
    words.rest.push_back(word);
    if (TakesValue(word) && i + 1 < arguments.size()) words.rest.push_back(arguments[++i]);
  }
  return words;
}

const Command* Find(const Words& words) {
  for (const Command& command : Commands()) {
    if (words.noun == command.noun && words.verb == command.verb) return &command;
  }
  return nullptr;
}

// The error for words that name no verb, with the nearest that exists.
absl::Status UnknownVerb(const Words& words) {
  const bool noun_known = HasVerbs(words.noun);
  std::vector<std::string> known;
  for (const Command& command : Commands()) {
    if (!noun_known) known.push_back(command.noun);
    if (noun_known && words.noun == command.noun) known.push_back(command.verb);
  }
  if (noun_known && words.verb.empty()) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("`ember ", words.noun, "` needs a verb: one of ",
                                                absl::StrJoin(known, ", "))),
        "ember --help");
  }
  const std::string& wrong = noun_known ? words.verb : words.noun;
  const std::string prefix = noun_known ? absl::StrCat("ember ", words.noun) : "ember";
  const std::string nearest = Nearest(wrong, known);
  return WithHint(absl::InvalidArgumentError(
                      absl::StrCat("no verb '", wrong, "': `", prefix, "` does not have it")),
                  nearest.empty() ? "ember --help"
                                  : absl::StrCat("did you mean `", prefix, " ", nearest, "`?"));
}

// The parser of one verb: its own options and the global ones.
struct Parser {
  explicit Parser(const Command& command)
      : app(command.summary, absl::StrCat("ember ", NameOf(command))),
        action(command.declare(app)) {
    constexpr char kGroup[] = "Options of every verb";
    app.set_help_flag("-h,--help", "Print this and exit")->group(kGroup);
    app.add_option("--em", options.em, kEmHelp)->type_name("HOST:PORT")->group(kGroup);
    app.add_option("--identity", options.identity, kIdentityHelp)->type_name("DIR")->group(kGroup);
    app.add_option("--timeout", options.timeout_seconds, kTimeoutHelp)
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, static_cast<double>(kCliTimeoutSecondsMax)).description(""))
        ->group(kGroup);
    app.add_flag("--json", options.json, kJsonHelp)->group(kGroup);
    app.add_flag("--yes,-y", options.yes, kYesHelp)->group(kGroup);
    app.footer(kExitStatusLine);
  }

  CLI::App app;
  GlobalOptions options;
  Action action;
};

// OK, or INVALID_ARGUMENT with CLI11's words. This is the one place where its exceptions are
// caught.
absl::Status Parse(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
  try {
    app.parse(std::move(arguments));
    return absl::OkStatus();
  } catch (const CLI::Error& error) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("the arguments are wrong: ", error.what())),
        absl::StrCat(app.get_name(), " --help"));
  }
}

ExitCode RunCommand(const Command& command, const Words& words, Context& context) {
  Parser parser(command);
  if (words.help) {
    *context.out << parser.app.help();
    return kExitDone;
  }
  const std::string name = absl::StrCat("ember ", NameOf(command));
  if (absl::Status parsed = Parse(parser.app, words.rest); !parsed.ok())
    return PrintFailure(context, name, parsed);
  context.options = parser.options;
  const absl::StatusOr<ExitCode> result = parser.action(context);
  context.out->flush();
  return result.ok() ? *result : PrintFailure(context, name, result.status());
}

}  // namespace

ExitCode Run(const std::vector<std::string>& arguments, Context& context) {
  Words words = Split(arguments);
  context.options.json =
      words.json;  // so that a wrong command line is answered in the form asked for
  if (words.noun.empty()) {
    if (words.version) {
      words.noun = "version";
      std::erase(words.rest, "--version");
    } else if (words.help || arguments.empty()) {
      // Without arguments it is an error all the same: a script that forgot its verb must not go
      // on.
      (words.help ? *context.out : *context.err) << OverviewText();
      return words.help ? kExitDone : kExitUsage;
    } else {
      return PrintFailure(
          context, "ember",
          WithHint(absl::InvalidArgumentError("no verb: only options were given"), "ember --help"));
    }
  }
  if (const Command* command = Find(words)) return RunCommand(*command, words, context);
  if (words.help && HasVerbs(words.noun) && words.verb.empty()) {
    for (const Command& command : Commands()) {
      if (words.noun != command.noun) continue;
      *context.out << absl::StreamFormat("ember %-22s %s\n", NameOf(command), command.summary);
    }
    *context.out << kExitStatusLine << "\n";
    return kExitDone;
  }
  const absl::Status later = CheckNotLater(words.noun, words.verb);
  return PrintFailure(context, "ember", later.ok() ? UnknownVerb(words) : later);
}

std::string OverviewText() {
  std::string text =
      "ember: backups and automatic recovery of an estate\n\n"
      "Usage: ember [--em HOST:PORT] [--identity DIR] [--json] [--yes] [--timeout SECONDS] VERB "
      "...\n";
  absl::string_view last;
  for (const Command& command : Commands()) {
    // A noun with several verbs stands apart; single ones stay together.
    if (last != command.noun && (HasVerbs(last) || HasVerbs(command.noun) || last.empty())) {
      text += '\n';
    }
    last = command.noun;
    absl::StrAppendFormat(&text, "  %-18s %s\n", NameOf(command), command.summary);
  }
  absl::StrAppend(&text, "\nOptions of every verb, before or after it:\n");
  const std::pair<const char*, const char*> options[] = {{"--em HOST:PORT", kEmHelp},
                                                         {"--identity DIR", kIdentityHelp},
                                                         {"--json", kJsonHelp},
                                                         {"-y, --yes", kYesHelp},
                                                         {"--timeout SECONDS", kTimeoutHelp}};
  for (const auto& [option, help] : options)
    absl::StrAppendFormat(&text, "  %-18s %s\n", option, help);
  absl::StrAppend(&text,
                  "\nDefaults: ~/.config/ember/ (files em and identity/), then /etc/ember/\n",
                  "A backup is named by its id, its name, WORKLOAD@latest, WORKLOAD@TIME or a "
                  "unique prefix\n\n",
                  kExitStatusLine, "\n");
  return text;
}

std::string AllHelpText() {
  std::string text;
  for (const Command& command : Commands()) {
    absl::StrAppend(&text, "==== ember ", NameOf(command), " --help\n", Parser(command).app.help(),
                    "\n");
  }
  return text;
}

}  // namespace ember::cli
