// What scripts rely on: the shape of the JSON of every verb, the field names kind by kind, and an
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

// How a verb is called, and fields that its one object has.
struct Shape {
  std::vector<std::string> arguments;
  std::vector<std::string> fields;
};
const std::map<std::string, Shape>& Shapes() {
  static const auto* shapes = new std::map<std::string, Shape>{
      {"apply", {{"-f", "-"}, {"plan", "applied", "warnings"}}},
      {"export", {{}, {"yaml"}}},
      {"status", {{}, {"em", "nodes", "workloads", "recoveries", "vaults", "alarms"}}},
      {"node list", {{}, {"items"}}},
      {"node show", {{"n1"}, {"name", "state"}}},
      {"node token", {{"n1"}, {"token", "expires"}}},
      {"node maintenance", {{"on", "n1"}, {"name", "maintenance", "maintenance_until"}}},
      {"node drain", {{"n1"}, {"node", "items"}}},
      {"node remove", {{"n1"}, {"name", "state"}}},
      {"workload list", {{}, {"items"}}},
      {"workload show", {{"db"}, {"name", "state"}}},
      {"workload restart", {{"db"}, {"name", "state"}}},
      {"workload move", {{"db", "n2", "--no-wait"}, {"id", "state", "target", "planned"}}},
      {"workload hold", {{"db"}, {"name", "state"}}},
      {"workload release", {{"db"}, {"name", "state"}}},
      {"backup run", {{"db"}, {"id", "outcome"}}},
      {"backup list", {{}, {"items", "stored_bytes"}}},
      {"backup show", {{"db@latest"}, {"id", "outcome"}}},
      {"backup files", {{"db@latest"}, {"items"}}},
      {"backup cat", {{"db@latest", "/srv/db/file"}, {"backup", "path", "content"}}},
      {"backup diff", {{"db@yesterday", "db@latest"}, {"items"}}},
      {"backup verify", {{"db@latest"}, {"id", "outcome", "verify"}}},
      {"backup pin", {{"db@latest"}, {"id", "pinned"}}},
      {"backup unpin", {{"db@latest"}, {"id", "pinned"}}},
      {"backup delete", {{"db@latest"}, {"id", "outcome"}}},
      {"backup undelete", {{"db@latest"}, {"id", "outcome"}}},
      {"restore", {{"db@latest"}, {"id", "outcome", "restore"}}},
      {"clean", {{}, {"items", "freed_bytes"}}},
      {"schedule next", {{}, {"items"}}},
      {"vault list", {{}, {"items"}}},
      {"vault show", {{"nas"}, {"name", "state", "last_check"}}},
      {"vault check", {{"nas"}, {"id", "outcome", "vault_result"}}},
      {"vault gc", {{"nas"}, {"id", "outcome", "vault_result"}}},
      {"vault replicate", {{"nas", "usb"}, {"id", "outcome", "vault_result"}}},
      {"vault rebuild-index", {{"nas"}, {"id", "outcome", "vault_result"}}},
      {"recovery list", {{}, {"items"}}},
      {"recovery show", {{"r-1"}, {"id", "state", "steps"}}},
      {"recovery approve", {{"r-1"}, {"id", "state"}}},
      {"recovery cancel", {{"r-1"}, {"id", "state"}}},
      {"recovery plan", {{"db"}, {"items"}}},
      {"recovery arm", {{}, {"heard", "unheard", "corrected", "armed"}}},
      {"message send", {{"db", "hello"}, {"message", "spooled_on"}}},
      {"message receive", {{"db"}, {"id", "from", "body", "seq"}}},
      {"message list", {{}, {"items"}}},
      {"beat", {{"db"}, {}}},
      {"events", {{}, {"items", "last_seq"}}},
      {"log verify", {{}, {"intact", "events", "head_hash"}}},
      {"doctor", {{}, {"items"}}},
      {"version", {{}, {"version"}}},
  };
  return *shapes;
}
// They need a vault: vault_offline_test.cc. And what prints a shell's script.
bool HasNoShapeHere(const std::string& name) {
  return name == "vault ls" || name == "vault restore" || name == "completion";
}

void ExpectFieldNames(const nlohmann::json& value) {
  for (const auto& [name, inner] : value.items()) {
    if (value.is_object()) {
      EXPECT_THAT(name, ::testing::MatchesRegex("[a-z][a-z0-9_]*"));
    }
    if (inner.is_structured()) ExpectFieldNames(inner);
  }
}

TEST_F(Session, EveryVerbAnswersWithOneObjectOfItsShape) {
  script_.node.set_name("n1");
  script_.workload.set_name("db");
  script_.vaults.add_items()->set_name("nas");
  script_.log.set_intact(true);
  input_ = "vaults: []\n";
  v1::Run run;
  run.set_id("run-1");
  run.set_backup_id("db/20260101-000000");
  run.set_outcome(v1::Outcome::OK);
  run.mutable_backup()->set_id(run.backup_id());
  run.mutable_files()->add_items()->set_path("srv/db");
  run.mutable_diff()->add_items()->set_change("added");
  for (const Command& command : Commands()) {
    const std::string name = NameOf(command);
    SCOPED_TRACE(name);
    if (HasNoShapeHere(name)) continue;
    const auto shape = Shapes().find(name);
    if (shape == Shapes().end()) {
      ADD_FAILURE() << "a new verb needs a row in Shapes()";
      continue;
    }
    script_.starts = {run};
    script_.polls = {run};
    v1::Message message;
    message.set_seq(1);
    script_.messages = {message};
    script_.failure = absl::OkStatus();
    std::vector<std::string> words = {command.noun};
    if (*command.verb != '\0') words.push_back(command.verb);
    words.insert(words.end(), shape->second.arguments.begin(), shape->second.arguments.end());
    words.insert(words.end(), {"--json", "--yes"});
    const int code = Ember(words);
    EXPECT_TRUE(code == 0 || name == "doctor") << code << " " << err_;
    ASSERT_TRUE(Json().is_object()) << out_;
    EXPECT_FALSE(Json().contains("error") && Json()["error"].is_object()) << out_;
    ExpectFields(Json(), shape->second.fields);
    EXPECT_TRUE(!Json().contains("items") || Json()["items"].is_array());
    ExpectFieldNames(Json());
    const bool asked = !script_.calls.empty();
    script_.calls.clear();
    if (!asked || name == "doctor") continue;
    script_.failure = absl::NotFoundError("there is no such thing");
    EXPECT_EQ(Ember(words), 5);
    EXPECT_EQ(Json()["error"]["code"], "NOT_FOUND") << out_;
    ExpectFields(Json()["error"], {"code", "message", "hint"});
    script_.calls.clear();
  }
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
