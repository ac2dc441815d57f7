// What scripts rely on: the field names of the JSON, kind by kind, and an
// answer for every verb that is still to come.
#include "cli/command.h"
#include "cli/later.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;

// Every one of `fields` is in `object`, whatever else is.
void ExpectFields(const nlohmann::json& object, const std::vector<std::string>& fields) {
  for (const std::string& field : fields) EXPECT_TRUE(object.contains(field)) << field;
}

TEST_F(Session, NodesHaveTheFieldsOfTheContract) {
  script_.nodes.add_items()->set_name("n1");
  script_.node.set_name("n1");
  const std::vector<std::string> fields = {"name", "state", "last_beat", "version"};
  ASSERT_EQ(Ember({"node", "list", "--json"}), 0);
  ExpectFields(Json()["items"][0], fields);
  ASSERT_EQ(Ember({"node", "show", "n1", "--json"}), 0);
  ExpectFields(Json(), fields);
}

TEST_F(Session, WorkloadsHaveTheFieldsOfTheContract) {
  script_.workloads.add_items()->set_name("db");
  script_.workload.set_name("db");
  const std::vector<std::string> fields = {"name",        "node",        "state",
                                           "epoch",       "last_backup", "last_backup_age_seconds",
                                           "rpo_seconds", "rpo_met"};
  ASSERT_EQ(Ember({"workload", "list", "--json"}), 0);
  ExpectFields(Json()["items"][0], fields);
  ASSERT_EQ(Ember({"workload", "show", "db", "--json"}), 0);
  ExpectFields(Json(), fields);
}

TEST_F(Session, BackupsHaveTheFieldsOfTheContract) {
  script_.backups.add_items()->set_id("db/20260101-000000");
  script_.backup.set_id("db/20260101-000000");
  const std::vector<std::string> fields = {
      "id",          "workload", "name",   "kind",     "outcome", "created", "size_bytes",
      "added_bytes", "files",    "vaults", "verified", "pinned",  "reason"};
  ASSERT_EQ(Ember({"backup", "list", "--json"}), 0);
  ExpectFields(Json()["items"][0], fields);
  EXPECT_TRUE(Json()["items"][0]["vaults"].is_array());
  ASSERT_EQ(Ember({"backup", "show", "db", "--json"}), 0);
  ExpectFields(Json(), fields);
}

TEST_F(Session, RecoveriesHaveTheFieldsOfTheContract) {
  script_.recoveries.add_items()->set_id("r-1");
  script_.recovery.set_id("r-1");
  const std::vector<std::string> fields = {
      "id",        "workload", "node",  "target",         "state",           "cause",
      "backup_id", "started",  "ended", "detect_seconds", "restore_seconds", "total_seconds",
      "steps"};
  ASSERT_EQ(Ember({"recovery", "list", "--json"}), 0);
  ExpectFields(Json()["items"][0], fields);
  EXPECT_TRUE(Json()["items"][0]["steps"].is_array());
  ASSERT_EQ(Ember({"recovery", "show", "r-1", "--json"}), 0);
  ExpectFields(Json(), fields);
}

TEST_F(Session, EventsHaveTheFieldsOfTheContract) {
  v1::ListEventsReply page;
  page.add_items()->set_seq(1);
  page.set_last_seq(1);
  script_.events = {page};
  ASSERT_EQ(Ember({"events", "--json"}), 0);
  ExpectFields(Json()["items"][0], {"seq", "time", "type", "subject", "message", "hash"});
}

TEST_F(Session, AVerbOfALaterVersionSaysSoInBothForms) {
  for (const LaterVerb& later : LaterVerbs()) {
    std::vector<std::string> words = {later.noun};
    if (*later.verb != '\0') words.push_back(later.verb);
    words.push_back("x");
    EXPECT_EQ(Ember(words), 2) << later.noun << " " << later.verb;
    EXPECT_THAT(err_, HasSubstr("comes in a later version"));
    EXPECT_EQ(out_, "");
    words.push_back("--json");
    EXPECT_EQ(Ember(words), 2);
    EXPECT_EQ(Json()["error"]["code"], "INVALID_ARGUMENT");
    EXPECT_THAT(Json()["error"]["message"].get<std::string>(),
                HasSubstr("comes in a later version"));
    EXPECT_EQ(Json()["error"]["hint"], "ember --help lists what there is");
  }
  EXPECT_TRUE(script_.calls.empty());
}

TEST_F(Session, ANounWhoseVerbsAllComeLaterSaysSoWhateverFollows) {
  EXPECT_EQ(Ember({"drill"}), 2);
  EXPECT_THAT(err_, HasSubstr("`ember drill` comes in a later version"));
  EXPECT_EQ(Ember({"drill", "everything"}), 2);
  EXPECT_THAT(err_, HasSubstr("comes in a later version"));
  EXPECT_EQ(Ember({"backup", "lst"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean `ember backup list`?"));
}

TEST(LaterVerbs, AreNotBuilt) {
  for (const LaterVerb& later : LaterVerbs()) {
    for (const Command& command : Commands()) {
      EXPECT_FALSE(absl::string_view(later.noun) == command.noun &&
                   absl::string_view(later.verb) == command.verb)
          << NameOf(command) << " is built: take it out of cli/later.cc";
    }
  }
}

}  // namespace
}  // namespace ember::cli
