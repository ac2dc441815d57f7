// The manual as committed: a change of a verb or an option shows in review. EMBER_UPDATE_GOLDEN=1
// rewrites it.
#include <cstdlib>
#include <set>

#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kGolden[] = EMBER_SOURCE_DIR "/tests/unit/cli/golden/help.txt";

TEST(Help, IsTheCommittedText) {
  const std::string help = OverviewText() + "\n" + AllHelpText();
  if (std::getenv("EMBER_UPDATE_GOLDEN") != nullptr) {
    ASSERT_OK(WriteFileAtomic(kGolden, help, 0644));
  }
  ASSERT_OK_AND_ASSIGN(const std::string golden, ReadFile(kGolden));
  EXPECT_EQ(help, golden) << "if the change is wanted: EMBER_UPDATE_GOLDEN=1";
}

TEST(Help, FitsTheWidthOfATerminal) {
  for (absl::string_view line : absl::StrSplit(OverviewText() + AllHelpText(), '\n')) {
    EXPECT_LE(DisplayWidth(line), kTableColumns) << line;
  }
}

TEST_F(Session, EveryVerbExplainsItselfWithItsExitStatus) {
  for (const Command& command : Commands()) {
    std::vector<std::string> arguments = {command.noun};
    if (*command.verb != '\0') arguments.push_back(command.verb);
    arguments.push_back("--help");
    EXPECT_EQ(Ember(arguments), 0) << NameOf(command);
    EXPECT_THAT(out_, HasSubstr("EXIT STATUS")) << NameOf(command);
    EXPECT_THAT(out_, HasSubstr(command.summary)) << NameOf(command);
  }
  EXPECT_TRUE(script_.calls.empty());
}

TEST_F(Session, ANounExplainsItsVerbs) {
  EXPECT_EQ(Ember({"backup", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("ember backup verify"));
}

TEST_F(Session, HelpAndNothingDifferInExitCodeAndStream) {
  EXPECT_EQ(Ember({"--help"}), 0);
  EXPECT_EQ(out_, OverviewText());
  EXPECT_EQ(Ember({}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_, OverviewText());
}

TEST_F(Session, AnUnknownVerbNamesTheNearest) {
  EXPECT_EQ(Ember({"statsu"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean `ember status`?"));
  EXPECT_EQ(Ember({"backup", "lst"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean `ember backup list`?"));
  EXPECT_EQ(Ember({"backup"}), 2);
  EXPECT_THAT(err_, HasSubstr("verify"));
  EXPECT_EQ(Ember({"zzzzzzzzz", "--json"}), 2);
  EXPECT_EQ(Json()["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(Json()["error"]["hint"], "ember --help");
}

TEST_F(Session, CompletionKnowsEveryVerbAndOption) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_EQ(Ember({"completion", shell}), 0);
    for (const Command& command : Commands()) EXPECT_THAT(out_, HasSubstr(command.noun)) << shell;
    EXPECT_THAT(out_, HasSubstr("no-wait")) << shell;
  }
  EXPECT_EQ(Ember({"completion", "tcsh"}), 2);
}

TEST(Commands, AreUniqueAndNounsStayTogether) {
  std::set<std::string> names, closed;
  std::string last;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(NameOf(command)).second) << NameOf(command);
    if (last == command.noun) continue;
    EXPECT_TRUE(closed.insert(command.noun).second) << command.noun;
    last = command.noun;
  }
}

TEST(ExitCode, FollowsTheTable) {
  using absl::StatusCode;
  const std::pair<StatusCode, int> table[] = {{StatusCode::kOk, 0},
                                              {StatusCode::kInvalidArgument, 2},
                                              {StatusCode::kFailedPrecondition, 4},
                                              {StatusCode::kPermissionDenied, 4},
                                              {StatusCode::kUnauthenticated, 4},
                                              {StatusCode::kNotFound, 5},
                                              {StatusCode::kUnavailable, 6},
                                              {StatusCode::kDeadlineExceeded, 6},
                                              {StatusCode::kDataLoss, 7},
                                              {StatusCode::kInternal, 1},
                                              {StatusCode::kUnknown, 1},
                                              {StatusCode::kCancelled, 1},
                                              {StatusCode::kResourceExhausted, 1},
                                              {StatusCode::kAborted, 1},
                                              {StatusCode::kUnimplemented, 1},
                                              {StatusCode::kAlreadyExists, 1},
                                              {StatusCode::kOutOfRange, 1}};
  for (const auto& [code, exit] : table)
    EXPECT_EQ(ExitCodeOf(absl::Status(code, "x")), exit) << static_cast<int>(code);
}

}  // namespace
}  // namespace ember::cli
