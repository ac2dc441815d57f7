// Where options, addresses and identities come from, and how errors leave.
#include "common/base/errors.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(Session, GlobalOptionsStandBeforeOrAfterTheVerb) {
  EXPECT_EQ(Ember({"--em", "a:1", "--json", "node", "list"}), 0);
  EXPECT_EQ(dialled_, "a:1");
  EXPECT_TRUE(Json()["items"].is_array());
  EXPECT_EQ(Ember({"node", "--em=b:2", "list", "--json", "--timeout", "3"}), 0);
  EXPECT_EQ(dialled_, "b:2");
  EXPECT_TRUE(Json()["items"].is_array());
}

TEST_F(Session, AWorkloadMayBeNamedLikeAVerb) {
  EXPECT_EQ(Ember({"beat", "status"}), 0);
  EXPECT_EQ(script_.calls, std::vector<std::string>{"Beat"});
}

TEST_F(Session, TheOptionBeatsTheEnvironmentBeatsTheFiles) {
  ASSERT_OK(MakeDirectories(directory_.Join("home/.config/ember/identity")));
  ASSERT_OK(MakeDirectories(directory_.Join("etc/identity")));
  ASSERT_OK(WriteFileAtomic(directory_.Join("etc/em"), "etc.lan:7443\n"));
  ASSERT_OK(WriteFileAtomic(directory_.Join("etc/identity/cert.pem"), "c"));
  EXPECT_EQ(Ember({"status", "--em", "option.lan:1"}), 0);
  EXPECT_EQ(dialled_, "option.lan:1");
  EXPECT_EQ(Ember({"status"}), 0);
  EXPECT_EQ(dialled_, "em.lan:7443");

  environment_.clear();
  environment_["HOME"] = directory_.Join("home");
  EXPECT_EQ(Ember({"status"}), 0);
  EXPECT_EQ(dialled_, "etc.lan:7443");
  EXPECT_EQ(identity_, directory_.Join("etc/identity"));
  ASSERT_OK(WriteFileAtomic(directory_.Join("home/.config/ember/em"), " home.lan:7443 \n"));
  ASSERT_OK(WriteFileAtomic(directory_.Join("home/.config/ember/identity/cert.pem"), "c"));
  EXPECT_EQ(Ember({"status"}), 0);
  EXPECT_EQ(dialled_, "home.lan:7443");
  EXPECT_EQ(identity_, directory_.Join("home/.config/ember/identity"));
}

TEST_F(Session, WithoutAddressOrIdentityTheErrorSaysWhatToGive) {
  environment_.erase("EMBER_EM");
  EXPECT_EQ(Ember({"status"}), 2);
  EXPECT_THAT(err_, HasSubstr("--em HOST:PORT"));
  EXPECT_EQ(Ember({"status", "--em", "a:1", "--identity", directory_.Join("nowhere")}), 4);
  EXPECT_THAT(err_, HasSubstr(directory_.Join("nowhere")));
  EXPECT_THAT(err_, HasSubstr("--identity DIR"));
  EXPECT_TRUE(script_.calls.empty());
}

TEST_F(Session, WrongOptionsAreWrongUsage) {
  EXPECT_EQ(Ember({"status", "--nonsense"}), 2);
  EXPECT_THAT(err_, HasSubstr("--nonsense"));
  EXPECT_EQ(Ember({"status", "--timeout", "0"}), 2);
  EXPECT_EQ(Ember({"status", "--timeout", "soon"}), 2);
  EXPECT_EQ(Ember({"status", "extra"}), 2);
  EXPECT_EQ(Ember({"node", "show"}), 2);
  EXPECT_EQ(Ember({"status", "--em"}), 2);
  EXPECT_TRUE(script_.calls.empty());
}

TEST_F(Session, AnErrorIsThreeLines) {
  script_.failure = BackupNotFound("x\x1b[1m");
  EXPECT_EQ(Ember({"backup", "show", "x"}), 5);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_,
            "error: no backup 'x\\x1b[1m'\n"
            "  why: no id, name or prefix matches\n"
            " next: ember backup list\n");
}

TEST_F(Session, AnErrorWithoutHintStillSaysWhatToDoNext) {
  script_.failure = absl::InternalError("oops");
  EXPECT_EQ(Ember({"backup", "list"}), 1);
  EXPECT_THAT(err_, StartsWith("error: `ember backup list` failed\n  why: oops\n next: "));
}

TEST_F(Session, AnErrorInJsonIsAnObjectOnStdout) {
  script_.failure = BackupNotFound("x");
  EXPECT_EQ(Ember({"backup", "show", "x", "--json"}), 5);
  EXPECT_EQ(Json()["error"]["code"], "NOT_FOUND");
  EXPECT_EQ(Json()["error"]["hint"], "ember backup list");
  EXPECT_EQ(err_, "");
}

TEST_F(Session, AnEmThatDoesNotAnswerIsExitSix) {
  script_.failure = absl::UnavailableError("connection refused");
  EXPECT_EQ(Ember({"status"}), 6);
  EXPECT_THAT(err_, HasSubstr("em.lan:7443 cannot be reached"));
  EXPECT_THAT(err_, HasSubstr("connection refused"));
  EXPECT_EQ(Ember({"status", "--json"}), 6);
  EXPECT_EQ(Json()["error"]["code"], "UNAVAILABLE");
}

TEST_F(Session, WhatTheEmCannotReachIsAFailureButNotOfTheEm) {
  script_.failure = WithHint(absl::UnavailableError("vault 'nas' is not reachable: it is off"),
                             "ember node show host1");
  EXPECT_EQ(Ember({"status"}), 1);
  EXPECT_EQ(
      err_,
      "error: vault 'nas' is not reachable\n  why: it is off\n next: ember node show host1\n");
}

TEST_F(Session, ARoleThatMayNotIsExitFour) {
  script_.failure = PeerRefused("viewer", "needs OPERATOR");
  EXPECT_EQ(Ember({"workload", "restart", "db"}), 4);
  EXPECT_THAT(err_, HasSubstr("needs OPERATOR"));
}

TEST_F(Session, ColorsNeedATerminalAndNoObjection) {
  script_.nodes.add_items()->set_state(v1::NodeState::DEAD);
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_EQ(out_.find('\x1b'), std::string::npos);
  terminal_ = true;
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("\x1b[31mDEAD"));
  environment_["NO_COLOR"] = "1";
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_EQ(out_.find('\x1b'), std::string::npos);
}

TEST_F(Session, VersionNeedsNoEm) {
  environment_.clear();
  EXPECT_EQ(Ember({"--version"}), 0);
  EXPECT_EQ(out_, std::string("ember ") + kVersion + "\n");
  EXPECT_EQ(Ember({"version", "--json"}), 0);
  EXPECT_EQ(Json()["version"], kVersion);
}

}  // namespace
}  // namespace ember::cli
