#include "controller/recover/escalation.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

BackupChoice Backup(const std::string& id, bool reachable) {
  BackupChoice backup;
  backup.id = id;
  backup.created = kNow - absl::Hours(1);
  backup.vault.set_node("nas");
  backup.reachable = reachable;
  return backup;
}

// A service that exits 3 at once, with data and two backups.
struct Case {
  std::string what;
  RecoveryView view;
  rec::RecoveryRecord recovery;
  std::string next;

  Case(std::string name, std::string command) : what(std::move(name)), next(std::move(command)) {
    view.now = kNow;
    view.spec.set_name("db");
    view.workload.set_name("db");
    view.workload.set_node("host1");
    view.nodes = {{"host1", v1::NodeState::ALIVE}, {"nas", v1::NodeState::ALIVE}};
    view.fact.emplace();
    view.fact->set_has_exit(true);
    view.fact->set_exit_status(3);
    view.fact->set_restarts(3);
    view.fact->set_restarts_exhausted(true);
    view.fact->set_consecutive_failures(4);
    view.fact->set_probe_message("connection refused");
    view.fact->add_log_tail("no such table");
    view.backups = {Backup("db/new", true), Backup("db/old", true)};
    recovery = NewRecovery("r-1", view.spec, view.workload, "4 probes failed", kNow, kNow, false);
  }
  Case& Tried(const std::string& backup) {
    rec::Tried* tried = recovery.add_tried();
    tried->set_candidate(backup.empty() ? rec::Candidate::RESTART_IN_PLACE
                                        : rec::Candidate::RESTORE_IN_PLACE);
    tried->set_target("host1");
    tried->set_backup_id(backup);
    tried->set_result("it did not get healthy");
    return *this;
  }
};

TEST(Diagnostics, OfAnApplicationThatStoppedBeatingAreAboutItsBeats) {
  Case story("", "");
  story.view.spec.mutable_health()->set_heartbeat_millis(3000);
  story.recovery.mutable_recovery()->set_cause("no heartbeat for 12s");
  const std::vector<std::string> lines = Diagnostics(story.recovery, story.view);
  EXPECT_THAT(lines, Contains("heartbeats: no heartbeat for 12s"));
  EXPECT_THAT(lines, Contains("log: no such table"));
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  cases.emplace_back("nothing tried, data there", "ember workload restart db");
  cases.emplace_back("a restart did not help", "ember workload restart db").Tried("");
  cases.emplace_back("data missing", "ember restore db/new").view.fact->set_data_missing(true);
  cases.emplace_back("the newest backup did not help", "ember restore db/old").Tried("db/new");
  cases.emplace_back("no backup helped", "ember workload restart db")
      .Tried("db/new")
      .Tried("db/old");
  Case& lost = cases.emplace_back("data missing, no backup", "ember backup list db");
  lost.view.fact->set_data_missing(true);
  lost.view.backups.clear();
  Case& away = cases.emplace_back("data missing, vault away", "ember node show nas");
  away.view.fact->set_data_missing(true);
  away.view.backups = {Backup("db/new", false)};
  cases.emplace_back("node dead", "ember node show host1").view.nodes["host1"] =
      v1::NodeState::DEAD;
  cases.emplace_back("its agent is silent about it", "ember node show host1").view.fact.reset();
  cases.emplace_back("its dependency is down", "ember workload show disk")
      .view.escalated_dependencies = {"disk"};
  return cases;
}

TEST(Escalation, TheNextCommandFitsWhatIsWrong) {
  for (const Case& c : Cases()) EXPECT_EQ(NextCommand(c.recovery, c.view), c.next) << c.what;
}

TEST(Escalation, TheDiagnosticsAreWhatTheAgentReported) {
  Case c("", "");
  c.Tried("db/new");
  EXPECT_THAT(Diagnostics(c.recovery, c.view),
              ElementsAre("cause: 4 probes failed", "node host1: ALIVE",
                          "tried: restore in place of db/new on host1: it did not get healthy",
                          "exit status: 3", "local restarts: 3, no more",
                          "probes: 4 failed in a row: connection refused", "log: no such table"));
}

TEST(Escalation, OfASilentNodeTheLastWordsAreMarkedAsSuch) {
  Case c("", "");
  c.view.nodes["host1"] = v1::NodeState::DEAD;
  EXPECT_THAT(Diagnostics(c.recovery, c.view),
              Contains("what follows is what its agent said before it fell silent"));
  c.view.fact.reset();
  EXPECT_THAT(Diagnostics(c.recovery, c.view), Contains("its agent says nothing about it"));
}

TEST(Escalation, WithoutAProbeItSaysSo) {
  Case c("", "");
  c.view.fact->set_consecutive_failures(0);
  c.view.fact->clear_probe_message();
  EXPECT_THAT(Diagnostics(c.recovery, c.view), Contains("probes: none since its last start"));
}

TEST(Escalation, AtOnceGivesARecordAndAnEventWithTheNextCommand) {
  Case c("", "");
  const RecoveryStepResult step =
      EscalateRecovery(c.recovery, c.view, "its recovery mode is 'manual'; gone");
  const v1::Recovery& recovery = step.recovery.recovery();
  EXPECT_EQ(recovery.state(), v1::RecoveryState::ESCALATED);
  EXPECT_TRUE(recovery.has_ended());
  EXPECT_EQ(recovery.message(), "its recovery mode is 'manual'; gone");
  EXPECT_EQ(recovery.next_command(), "ember workload restart db");
  EXPECT_THAT(recovery.diagnostics(), Contains("exit status: 3"));
  EXPECT_EQ(step.workload.state(), v1::WorkloadState::ESCALATED);
  EXPECT_EQ(step.workload.last_recovery(), "r-1");
  EXPECT_FALSE(step.order.has_value());
  ASSERT_EQ(step.events.size(), 1u);
  EXPECT_THAT(step.events[0].message, HasSubstr("Next: ember workload restart db"));
}

}  // namespace
}  // namespace ember::controller
