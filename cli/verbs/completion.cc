// ember completion: scripts for three shells, made from the list of verbs and each verb's own
// options.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/command.h"

namespace ember::cli {
namespace {

constexpr char kGlobalOptions[] = "--em --identity --json --yes --timeout --help";

std::vector<std::string> LongOptions(const Command& command) {
  CLI::App app;
  command.declare(app);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") names.push_back(name);
    }
  }
  return names;
}

std::vector<std::string> Nouns() {
  std::vector<std::string> nouns;
  for (const Command& command : Commands()) {
    if (nouns.empty() || nouns.back() != command.noun) nouns.push_back(command.noun);
  }
  return nouns;
}

std::vector<std::string> VerbsOf(absl::string_view noun) {
  std::vector<std::string> verbs;
  for (const Command& command : Commands()) {
    if (noun == command.noun && *command.verb != '\0') verbs.push_back(command.verb);
  }
  return verbs;
}

// The `case` that bash and zsh share: from the words so far ($verb) to those that may follow
// ($offer).
std::string CaseStatement() {
  std::string text = absl::StrCat("  case \"$verb\" in\n    '') offer='",
                                  absl::StrJoin(Nouns(), " "), " ", kGlobalOptions, "' ;;\n");
  for (const std::string& noun : Nouns()) {
    const auto verbs = VerbsOf(noun);
    if (!verbs.empty())
      absl::StrAppend(&text, "    '", noun, "') offer='", absl::StrJoin(verbs, " "), "' ;;\n");
  }
  for (const Command& command : Commands()) {
    std::string words;
    for (const std::string& option : LongOptions(command))
      absl::StrAppend(&words, "--", option, " ");
    if (command.noun == std::string("completion")) words = "bash zsh fish ";
    const std::string name = NameOf(command);
    absl::StrAppend(&text, "    '", name, "'|'", name, " '*) offer='", words, kGlobalOptions,
                    "' ;;\n");
  }
  return absl::StrCat(text, "  esac\n");
}

// Joins the words before the cursor without options into $verb.
constexpr char kCollect[] = R"(    case "$word" in
      --em|--identity|--timeout) i=$((i + 1)) ;;
      -*) ;;
      *) verb="${verb:+$verb }$word" ;;
    esac
    i=$((i + 1))
  done
)";

std::string Bash() {
  return absl::StrCat(R"(# bash completion for ember: source <(ember completion bash)
_ember() {
  local verb='' offer='' word i=1
  while [ "$i" -lt "$COMP_CWORD" ]; do
    word=${COMP_WORDS[i]}
)",
                      kCollect, CaseStatement(),
                      R"(  COMPREPLY=($(compgen -W "$offer" -- "${COMP_WORDS[COMP_CWORD]}"))
  [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _ember ember
)");
}

std::string Zsh() {
  return absl::StrCat(R"(#compdef ember
# zsh completion for ember: source <(ember completion zsh)
_ember() {
  local verb='' offer='' word i=2
  while [ "$i" -lt "$CURRENT" ]; do
    word=${words[i]}
)",
                      kCollect, CaseStatement(), R"(  compadd -- ${=offer}
  [[ $PREFIX == -* ]] || _files
}
compdef _ember ember
)");
}

std::string FishQuote(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string Fish() {
  std::string text =
      "# fish completion for ember: ember completion fish | source\ncomplete -c ember -e\n";
  auto line = [&](const std::string& when, const std::string& what) {
    absl::StrAppend(&text, "complete -c ember -n ", FishQuote(when), " ", what, "\n");
  };
  for (const std::string& noun : Nouns()) {
    line("__fish_use_subcommand", absl::StrCat("-f -a ", noun));
  }
  for (const Command& command : Commands()) {
    const std::string seen = absl::StrCat("__fish_seen_subcommand_from ", command.noun);
    std::string here = seen;
    if (*command.verb != '\0') {
      const std::string verbs = absl::StrJoin(VerbsOf(command.noun), " ");
      line(absl::StrCat(seen, "; and not __fish_seen_subcommand_from ", verbs),
           absl::StrCat("-f -a ", command.verb, " -d ", FishQuote(command.summary)));
      here = absl::StrCat(seen, "; and __fish_seen_subcommand_from ", command.verb);
    }
    for (const std::string& option : LongOptions(command)) line(here, absl::StrCat("-l ", option));
  }
  line("__fish_seen_subcommand_from completion", "-f -a 'bash zsh fish'");
  for (const char* flag : {"json", "yes", "help"})
    absl::StrAppend(&text, "complete -c ember -l ", flag, "\n");
  for (const char* option : {"em", "identity", "timeout"}) {
    absl::StrAppend(&text, "complete -c ember -r -l ", option, "\n");
  }
  return text;
}

}  // namespace

Action DeclareCompletion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->required();
  return [shell](Context& context) -> absl::StatusOr<ExitCode> {
    *context.out << (*shell == "bash" ? Bash() : *shell == "zsh" ? Zsh() : Fish());
    return kExitDone;
  };
}

}  // namespace ember::cli
