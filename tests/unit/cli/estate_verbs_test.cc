// The verbs that answer at once.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/output.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

void AddLine(v1::ApplyReply& reply, const std::string& action, const std::string& name) {
  v1::PlanLine* line = reply.add_plan();
  line->set_action(action);
  line->set_kind("workload");
  line->set_name(name);
}

class Apply : public Session {
 protected:
  Apply() { EXPECT_OK(WriteFileAtomic(file_, "vaults: []\n")); }
  const std::string file_ = directory_.Join("estate.yaml");
};

TEST_F(Apply, ShowsThePlanThenAppliesIt) {
  AddLine(script_.apply, "create", "db");
  AddLine(script_.apply, "update", "app");
  script_.apply.add_warnings("no off-site vault");
  EXPECT_EQ(Ember({"apply", "-f", file_}), 0);
  EXPECT_EQ(out_, "+ create workload db\n~ update workload app\napplied 2 changes\n");
  EXPECT_EQ(err_, "warning: no off-site vault\n");
  ASSERT_EQ(script_.applies.size(), 2u);
  EXPECT_TRUE(script_.applies[0].dry_run());
  EXPECT_EQ(script_.applies[0].text(), "vaults: []\n");
  EXPECT_EQ(script_.applies[0].file(), file_);
  EXPECT_FALSE(script_.applies[1].dry_run());
}

TEST_F(Apply, OfWhatIsAlreadySoChangesNothing) {
  EXPECT_EQ(Ember({"apply", "-f", file_}), 0);
  EXPECT_EQ(out_, "nothing to change\n");
  EXPECT_EQ(script_.applies.size(), 1u);
}

TEST_F(Apply, DryRunNeverApplies) {
  AddLine(script_.apply, "remove", "db");
  script_.apply.set_needs_confirmation(true);
  EXPECT_EQ(Ember({"apply", "-f", file_, "--dry-run", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("- remove workload db"));
  EXPECT_EQ(script_.applies.size(), 1u);
}

TEST_F(Apply, RemovalIsRefusedWithoutTerminalAndYes) {
  AddLine(script_.apply, "remove", "db");
  script_.apply.set_needs_confirmation(true);
  EXPECT_EQ(Ember({"apply", "-f", file_}), 4);
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_EQ(script_.applies.size(), 1u);
  EXPECT_EQ(Ember({"apply", "-f", file_, "--json"}), 4);
  EXPECT_EQ(Json()["error"]["code"], "FAILED_PRECONDITION");
  EXPECT_EQ(Ember({"apply", "-f", file_, "--yes"}), 0);
  EXPECT_TRUE(script_.applies.back().confirmed());
}

TEST_F(Apply, AsksOnATerminal) {
  AddLine(script_.apply, "remove", "db");
  script_.apply.set_needs_confirmation(true);
  terminal_ = true;
  for (const char* no : {"n\n", "\n", "", "yess\n"}) {
    input_ = no;
    EXPECT_EQ(Ember({"apply", "-f", file_}), 4);
  }
  EXPECT_THAT(err_, HasSubstr("? [y/N]"));
  input_ = "y\n";
  EXPECT_EQ(Ember({"apply", "-f", file_}), 0);
  EXPECT_TRUE(script_.applies.back().confirmed());
}

TEST_F(Apply, PrintsTheErrorsOfAFileAsTheyAre) {
  const std::string one = "estate.yaml:3:7: unknown key 'paht' (did you mean 'path'?)";
  script_.failure = absl::InvalidArgumentError(one);
  EXPECT_EQ(Ember({"apply", "-f", file_}), 2);
  EXPECT_THAT(err_, HasSubstr(one + "\n"));
  script_.failure = absl::InvalidArgumentError(one + "\nestate.yaml:4:1: no vault 'x'\x1b");
  EXPECT_EQ(Ember({"apply", "-f", file_}), 2);
  EXPECT_THAT(err_, HasSubstr(one + "\nestate.yaml:4:1: no vault 'x'\\x1b\n"));
}

TEST_F(Apply, ReadsStdinAndRefusesWhatIsNoFile) {
  input_ = "workloads: []";
  EXPECT_EQ(Ember({"apply", "-f", "-"}), 0);
  EXPECT_EQ(script_.applies[0].text(), "workloads: []");
  EXPECT_EQ(Ember({"apply", "-f", directory_.Join("absent")}), 2);
  input_ = std::string(kEstateFileBytesMax + 1, ' ');
  EXPECT_EQ(Ember({"apply", "-f", "-"}), 2);
  EXPECT_EQ(Ember({"apply"}), 2);
  EXPECT_EQ(script_.applies.size(), 1u);
}

TEST_F(Apply, JsonIsTheReply) {
  AddLine(script_.apply, "create", "db");
  EXPECT_EQ(Ember({"apply", "-f", file_, "--json"}), 0);
  EXPECT_EQ(Json()["applied"], true);
  EXPECT_EQ(Json()["plan"][0]["action"], "create");
}

TEST_F(Session, ExportPrintsTheFile) {
  script_.exported.set_yaml("vaults:\n  - {name: nas}\n");
  EXPECT_EQ(Ember({"export"}), 0);
  EXPECT_EQ(out_, script_.exported.yaml());
  EXPECT_EQ(Ember({"export", "--json"}), 0);
  EXPECT_EQ(Json()["yaml"], script_.exported.yaml());
}

TEST_F(Session, StatusIsOnePageWithWhatIsWrong) {
  script_.status.mutable_em()->set_frozen(true);
  script_.status.mutable_em()->set_frozen_reason("2 of 3 nodes are silent");
  v1::Workload* workload = script_.status.add_workloads();
  workload->set_name("db");
  workload->set_state(v1::WorkloadState::RUNNING);
  workload->set_rpo_seconds(86400);
  workload->set_last_backup_age_seconds(2 * 86400);
  script_.status.add_workloads()->set_last_backup_age_seconds(-1);
  v1::Node* node = script_.status.add_nodes();
  node->set_name("host1");
  node->set_maintenance(true);
  v1::Recovery* recovery = script_.status.add_recoveries();
  recovery->set_id("r1");
  recovery->set_next_command("ember recovery approve r1");
  script_.status.add_alarms("vault nas is full\x1b");
  EXPECT_EQ(Ember({"status"}), 0);
  EXPECT_THAT(out_, HasSubstr("FROZEN: no automatic recovery: 2 of 3 nodes are silent"));
  EXPECT_THAT(out_, HasSubstr("2 d / 24 h LATE"));
  EXPECT_THAT(out_, HasSubstr("never"));
  EXPECT_THAT(out_, HasSubstr("(maintenance)"));
  EXPECT_THAT(out_, HasSubstr("ember recovery approve r1"));
  EXPECT_THAT(out_, HasSubstr("ALARM: vault nas is full\\x1b"));
  for (absl::string_view line : absl::StrSplit(out_, '\n'))
    EXPECT_LE(DisplayWidth(line), kTableColumns) << line;
  EXPECT_EQ(Ember({"status", "--json"}), 0);
  EXPECT_EQ(Json()["workloads"][0]["rpo_met"], false);
  EXPECT_EQ(Json()["em"]["frozen"], true);
}

TEST_F(Session, WatchRedrawsUntilStoppedAndOutlivesTheEm) {
  int sleeps = 0;
  clock_.on_sleep = [&] {
    ++sleeps;
    script_.failure = sleeps == 1 ? absl::UnavailableError("restarting") : absl::OkStatus();
    if (sleeps == 3) interrupt_.pressed.Notify();
  };
  EXPECT_EQ(Ember({"status", "--watch"}), 0);
  EXPECT_EQ(script_.calls.size(), 3u);
  EXPECT_THAT(err_, HasSubstr("trying again"));
}

TEST_F(Session, NodeVerbs) {
  script_.node.set_name("host1");
  script_.node.set_state(v1::NodeState::ALIVE);
  *script_.nodes.add_items() = script_.node;
  EXPECT_EQ(Ember({"node", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("host1"));
  EXPECT_EQ(Ember({"node", "list", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["state"], "ALIVE");
  EXPECT_TRUE(Json()["items"][0]["last_beat"].is_null());
  EXPECT_EQ(Ember({"node", "show", "host1"}), 0);
  EXPECT_THAT(out_, HasSubstr("ALIVE"));
  EXPECT_EQ(Ember({"node", "maintenance", "on", "host1", "--for", "2h", "--json"}), 0);
  EXPECT_TRUE(script_.maintenance_request.on());
  EXPECT_EQ(script_.maintenance_request.for_seconds(), 7200);
  EXPECT_EQ(Ember({"node", "maintenance", "off", "host1"}), 0);
  EXPECT_FALSE(script_.maintenance_request.on());
  EXPECT_EQ(Ember({"node", "maintenance", "off", "host1", "--for", "2h"}), 2);
  EXPECT_EQ(Ember({"node", "maintenance", "on", "host1", "--for", "long"}), 2);
  EXPECT_EQ(Ember({"node", "maintenance", "maybe", "host1"}), 2);
  EXPECT_EQ(Ember({"node", "maintenance", "on"}), 2) << "of which node?";
  EXPECT_EQ(Ember({"node", "maintenance", "on", "host1", "--all"}), 2);
  EXPECT_EQ(Ember({"node", "maintenance", "on", "--all", "--for", "1h"}), 0);
  EXPECT_EQ(script_.calls.back(), "SetEstateMaintenance");
  EXPECT_EQ(script_.maintenance_request.for_seconds(), 3600);
  EXPECT_THAT(out_, HasSubstr("maintenance of the whole estate: on"));
}

TEST_F(Session, NodeDrainTellsWhatMovesAndWhatStays) {
  script_.drain.mutable_node()->set_name("host1");
  v1::DrainStep* moves = script_.drain.add_items();
  moves->set_workload("db");
  moves->set_target("host2");
  v1::DrainStep* stays = script_.drain.add_items();
  stays->set_workload("web");
  stays->set_reason("it has no standby node");
  EXPECT_EQ(Ember({"node", "drain", "host1"}), 0);
  EXPECT_TRUE(script_.drain_request.on());
  EXPECT_THAT(out_, HasSubstr("host2"));
  EXPECT_THAT(out_, HasSubstr("it has no standby node"));
  EXPECT_EQ(Ember({"node", "drain", "host1", "--off"}), 0);
  EXPECT_FALSE(script_.drain_request.on());
  EXPECT_THAT(out_, HasSubstr("host1 is used again"));
}

class WorkloadMove : public Session {
 protected:
  WorkloadMove() {
    script_.move.set_id("r-1");
    script_.move.set_workload("db");
    script_.move.set_target("host2");
    script_.move.set_state(v1::RecoveryState::DETECTED);
    script_.recovery = script_.move;
    v1::RecoveryStep* step = script_.recovery.add_steps();
    step->set_message("stopping it");
    script_.recovery.mutable_ended()->set_seconds(1);
    script_.recovery.set_total_seconds(12);
  }
  int End(v1::RecoveryState::Value state, const std::string& message) {
    script_.recovery.set_state(state);
    script_.recovery.set_message(message);
    return Ember({"workload", "move", "db", "host2"});
  }
};

TEST_F(WorkloadMove, TellsItsStepsUntilItIsThere) {
  EXPECT_EQ(End(v1::RecoveryState::DONE, "healthy on host2"), 0);
  EXPECT_EQ(script_.move_request.node(), "host2");
  EXPECT_THAT(err_, HasSubstr("stopping it"));
  EXPECT_THAT(out_, HasSubstr("moved db to host2 in 12 s"));
}

TEST_F(WorkloadMove, FailsWhenItIsCalledOffOrEndsElsewhere) {
  EXPECT_EQ(End(v1::RecoveryState::CANCELLED, "called off: its backup failed"), 1);
  EXPECT_THAT(err_, HasSubstr("its backup failed"));
  script_.recovery.set_target("host1");
  EXPECT_EQ(End(v1::RecoveryState::DONE, "healthy on host1"), 1);
  EXPECT_THAT(err_, HasSubstr("'db' was not moved to host2\n  why: healthy on host1"));
}

TEST_F(WorkloadMove, CtrlCCallsItOff) {
  script_.recovery.clear_ended();
  clock_.on_sleep = [&] { interrupt_.pressed.Notify(); };
  EXPECT_NE(Ember({"workload", "move", "db"}), 0);
  EXPECT_EQ(script_.calls.back(), "CancelRecovery");
  EXPECT_THAT(err_, HasSubstr("calling off the move of 'db'"));
}

TEST_F(Session, NodeRemoveAsksFirst) {
  EXPECT_EQ(Ember({"node", "remove", "host1"}), 4);
  EXPECT_THAT(script_.calls, ElementsAre());
  EXPECT_EQ(Ember({"node", "remove", "host1", "--yes"}), 0);
  EXPECT_THAT(script_.calls, ElementsAre("RemoveNode"));
}

TEST_F(Session, NodeTokenPrintsTheTokenAloneOnStdout) {
  script_.token.set_token("emb1-abc");
  EXPECT_EQ(Ember({"node", "token", "host2"}), 0);
  EXPECT_EQ(out_, "emb1-abc\n");
  EXPECT_THAT(err_, HasSubstr("ember-agent join emb1-abc"));
  EXPECT_THAT(err_, Not(HasSubstr("warning")));
  EXPECT_EQ(script_.token_request.em_address(), "");
  EXPECT_EQ(script_.token_request.dialled(), "em.lan:7443");
  EXPECT_EQ(Ember({"node", "token", "host2", "--em-address", "10.0.0.1:7443", "--json"}), 0);
  EXPECT_EQ(Json()["token"], "emb1-abc");
  EXPECT_EQ(script_.token_request.em_address(), "10.0.0.1:7443");
}

TEST_F(Session, NodeTokenWarnsAboutAnAddressThatOnlyThisMachineReaches) {
  for (const char* address : {"127.0.0.1:7443", "localhost:7443", "[::1]:7443"}) {
    script_.token.set_em_address(address);
    EXPECT_EQ(Ember({"node", "token", "host2", "--em", address}), 0);
    EXPECT_THAT(err_, HasSubstr("--em-address")) << address;
  }
}

TEST_F(Session, WorkloadVerbs) {
  script_.workload.set_name("db");
  script_.workload.set_node("host1");
  script_.workload.set_state(v1::WorkloadState::HELD);
  *script_.workloads.add_items() = script_.workload;
  EXPECT_EQ(Ember({"workload", "list", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["name"], "db");
  EXPECT_EQ(Ember({"workload", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("HELD"));
  EXPECT_EQ(Ember({"workload", "show", "db"}), 0);
  EXPECT_THAT(out_, HasSubstr("host1"));
  EXPECT_EQ(Ember({"workload", "restart", "db"}), 0);
  EXPECT_EQ(Ember({"workload", "hold", "db"}), 0);
  EXPECT_TRUE(script_.hold_request.hold());
  EXPECT_EQ(Ember({"workload", "release", "db", "--json"}), 0);
  EXPECT_FALSE(script_.hold_request.hold());
  EXPECT_EQ(Json()["state"], "HELD");
  EXPECT_EQ(Ember({"beat", "db"}), 0);
  EXPECT_EQ(out_ + err_, "");
}

TEST_F(Session, WorkloadShowTellsWhyItWasGivenUpAndWhatToTypeNext) {
  script_.workload.set_name("db");
  script_.workload.set_state(v1::WorkloadState::ESCALATED);
  script_.workload.set_recovery("r-4");
  script_.workload.add_diagnostics("exit status: 3");
  script_.workload.add_diagnostics("log: no such table\x1b");
  script_.workload.set_next_command("ember workload restart db");
  EXPECT_EQ(Ember({"workload", "show", "db"}), 0);
  EXPECT_THAT(out_, HasSubstr("r-4"));
  EXPECT_THAT(out_, HasSubstr("diagnostics:\n  exit status: 3\n  log: no such table\\x1b\n"));
  EXPECT_THAT(out_, HasSubstr("next: ember workload restart db"));
  EXPECT_EQ(Ember({"workload", "show", "db", "--json"}), 0);
  EXPECT_EQ(Json()["next_command"], "ember workload restart db");
  EXPECT_EQ(Json()["diagnostics"][0], "exit status: 3");
}

TEST_F(Session, BackupListHasATotalAndFitsTheWidth) {
  for (int i = 0; i < 2; ++i) {
    v1::Backup* backup = script_.backups.add_items();
    backup->set_id(absl::StrCat(std::string(64, 'w'), "/20260101-00000", i));
    backup->set_name(std::string(64, 'n'));
    backup->set_added_bytes(1024);
    backup->set_outcome(v1::Outcome::PARTIAL);
    backup->set_reason("\x1b[2Jbefore the upgrade");
  }
  script_.backups.set_stored_bytes(1 << 20);
  EXPECT_EQ(Ember({"backup", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("2 backups, 1.0 MiB stored"));
  EXPECT_EQ(out_.find('\x1b'), std::string::npos);
  for (absl::string_view line : absl::StrSplit(out_, '\n'))
    EXPECT_LE(DisplayWidth(line), kTableColumns) << line;
  EXPECT_EQ(Ember({"backup", "list", "db", "--json"}), 0);
  EXPECT_EQ(Json()["items"].size(), 2u);
  EXPECT_EQ(Json()["stored_bytes"], 1 << 20);
}

TEST_F(Session, BackupShowAndPin) {
  script_.backup.set_id("db/20260101-000000");
  script_.backup.add_vaults("nas");
  EXPECT_EQ(Ember({"backup", "show", "db@latest"}), 0);
  EXPECT_THAT(out_, HasSubstr("nas"));
  EXPECT_EQ(Ember({"backup", "show", "db@latest", "--json"}), 0);
  EXPECT_EQ(Json()["id"], "db/20260101-000000");
  EXPECT_EQ(Ember({"backup", "pin", "x"}), 0);
  EXPECT_TRUE(script_.pin_request.pinned());
  EXPECT_EQ(out_, "pinned db/20260101-000000\n");
  EXPECT_EQ(Ember({"backup", "unpin", "x"}), 0);
  EXPECT_FALSE(script_.pin_request.pinned());
}

TEST_F(Session, VaultList) {
  v1::Vault* vault = script_.vaults.add_items();
  vault->set_name("nas");
  vault->set_free_bytes(int64_t{3} << 30);
  EXPECT_EQ(Ember({"vault", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("3.0 GiB"));
  EXPECT_EQ(Ember({"vault", "list", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["free_bytes"], int64_t{3} << 30);
}

TEST_F(Session, VaultShow) {
  script_.vaults.add_items()->set_name("usb");
  v1::Vault* vault = script_.vaults.add_items();
  vault->set_name("nas");
  vault->set_trashed_backups(2);
  vault->set_trashed_bytes(4096);
  vault->set_damaged_records(1);
  EXPECT_EQ(Ember({"vault", "show", "nas"}), 0);
  EXPECT_THAT(out_, HasSubstr("2 backups, 4.0 KiB of packs"));
  EXPECT_THAT(out_, HasSubstr("1 record\n"));
  EXPECT_THAT(out_, HasSubstr("never"));
  EXPECT_EQ(Ember({"vault", "show", "nas", "--json"}), 0);
  EXPECT_EQ(Json()["damaged_records"], 1);
  EXPECT_TRUE(Json()["last_check"].is_null());
  vault->mutable_last_gc()->mutable_time()->set_seconds(1767225600);
  vault->mutable_last_gc()->set_outcome(v1::Outcome::OK);
  vault->mutable_last_gc()->set_bytes_freed(2048);
  vault->mutable_last_check()->mutable_time()->set_seconds(1767225600);
  vault->mutable_last_check()->set_outcome(v1::Outcome::FAILED);
  vault->mutable_last_check()->set_level("L1");
  vault->mutable_last_check()->set_error("2 damaged records");
  EXPECT_EQ(Ember({"vault", "show", "nas"}), 0);
  EXPECT_THAT(out_, HasSubstr("(2.0 KiB freed)"));
  EXPECT_THAT(out_, HasSubstr("(L1): 2 damaged records"));
  EXPECT_EQ(Ember({"vault", "show", "nas", "--json"}), 0);
  EXPECT_EQ(Json()["last_gc"]["bytes_freed"], 2048);
  EXPECT_EQ(Ember({"vault", "show", "nass"}), 5);
  EXPECT_THAT(err_, HasSubstr("no vault 'nass'"));
}

TEST_F(Session, RecoveryShowTellsTheStepsAndWhatToDoNext) {
  script_.recovery.set_id("r1");
  script_.recovery.set_state(v1::RecoveryState::APPROVAL);
  script_.recovery.mutable_started()->set_seconds(1767225600);
  v1::RecoveryStep* step = script_.recovery.add_steps();
  step->mutable_time()->set_seconds(1767225665);
  step->set_state(v1::RecoveryState::PLANNED);
  step->set_message("host2 has room");
  script_.recovery.add_diagnostics("exit status 1");
  script_.recovery.set_next_command("ember recovery approve r1");
  *script_.recoveries.add_items() = script_.recovery;
  EXPECT_EQ(Ember({"recovery", "show", "r1"}), 0);
  EXPECT_THAT(out_, HasSubstr("1 min 5 s  PLANNED  host2 has room"));
  EXPECT_THAT(out_, HasSubstr("exit status 1"));
  EXPECT_THAT(out_, HasSubstr("next: ember recovery approve r1"));
  EXPECT_EQ(Ember({"recovery", "list", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["state"], "APPROVAL");
  EXPECT_EQ(Json()["items"][0]["steps"][0]["time"], "2026-01-01T00:01:05Z");
  EXPECT_EQ(Ember({"recovery", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("r1: ember recovery approve r1\n"));
  EXPECT_EQ(Ember({"recovery", "approve", "r1", "--json"}), 0);
  EXPECT_EQ(Ember({"recovery", "cancel", "r1"}), 0);
  EXPECT_THAT(script_.calls, ElementsAre("GetRecovery", "ListRecoveries", "ListRecoveries",
                                         "ApproveRecovery", "CancelRecovery"));
}

TEST_F(Session, RecoveryPlanIsAPreview) {
  v1::PlanStep* step = script_.plan.add_items();
  step->set_workload("db");
  step->set_action("restore");
  EXPECT_EQ(Ember({"recovery", "plan", "host1"}), 0);
  EXPECT_THAT(out_, HasSubstr("nothing was changed"));
  EXPECT_EQ(Ember({"recovery", "plan", "host1", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["action"], "restore");
}

v1::ListEventsReply EventPage(uint64_t first, uint64_t last, uint64_t last_seq) {
  v1::ListEventsReply page;
  for (uint64_t seq = first; seq <= last; ++seq) {
    v1::Event* event = page.add_items();
    event->set_seq(seq);
    event->set_message(absl::StrCat("event ", seq));
  }
  page.set_last_seq(last_seq);
  return page;
}

TEST_F(Session, EventsReadsEveryPage) {
  script_.events = {EventPage(1, 2, 9), EventPage(3, 3, 9), EventPage(1, 0, 8), EventPage(9, 9, 9)};
  EXPECT_EQ(Ember({"events", "--json", "--since", "2h", "--workload", "db", "--type", "node.dead"}),
            0);
  ASSERT_EQ(Json()["items"].size(), 4u);
  EXPECT_EQ(Json()["items"][3]["seq"], 9);
  EXPECT_EQ(script_.events_request.workload(), "db");
  EXPECT_EQ(script_.events_request.type(), "node.dead");
  EXPECT_EQ(script_.events_request.since().seconds(), 1767225600 - 7200);
  EXPECT_EQ(Ember({"events", "--since", "noon"}), 2);
}

TEST_F(Session, FollowShowsTheLastEventsThenOneObjectPerLine) {
  script_.events = {EventPage(1, 30, 30), EventPage(1, 0, 30), EventPage(31, 31, 31)};
  script_.unavailable_after_events = true;
  clock_.on_sleep = [&] {
    script_.unavailable_after_events = false;
    script_.events = {EventPage(32, 32, 32)};
    script_.on_event_page = [&] { interrupt_.pressed.Notify(); };
  };
  EXPECT_EQ(Ember({"events", "--follow", "--json"}), 0);
  const std::vector<std::string> lines = absl::StrSplit(out_, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), kFollowPastEvents + 2);
  EXPECT_EQ(nlohmann::json::parse(lines.front())["seq"], 30 - kFollowPastEvents + 1);
  EXPECT_EQ(nlohmann::json::parse(lines.back())["seq"], 32);
  EXPECT_EQ(err_, "the EM does not answer; trying again\n");
  EXPECT_EQ(script_.events_request.after_seq(), 31u);
  EXPECT_GT(script_.events_request.wait_millis(), 0);
}

TEST_F(Session, LogVerifyFindsTheFirstBadEvent) {
  script_.log.set_events(7);
  script_.log.set_intact(true);
  EXPECT_EQ(Ember({"log", "verify"}), 0);
  EXPECT_THAT(out_, HasSubstr("intact: 7 events"));
  script_.log.set_intact(false);
  script_.log.set_first_bad_seq(4);
  EXPECT_EQ(Ember({"log", "verify"}), 7);
  EXPECT_THAT(err_, HasSubstr("event 4 of 7"));
  EXPECT_EQ(Ember({"log", "verify", "--json"}), 7);
  EXPECT_EQ(Json()["first_bad_seq"], 4);
}

}  // namespace
}  // namespace ember::cli
