// The verbs that wait for a run: backup run, backup verify, restore.
#include "absl/strings/str_cat.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

v1::Run RunWith(v1::Outcome::Value outcome) {
  v1::Run run;
  run.set_id("run-1");
  run.set_workload("db");
  run.set_outcome(outcome);
  return run;
}

v1::Run Running(int64_t read, int64_t total) {
  v1::Run run = RunWith(v1::Outcome::RUNNING);
  run.mutable_progress()->set_phase("reading");
  run.mutable_progress()->set_bytes_read(read);
  run.mutable_progress()->set_bytes_total(total);
  run.mutable_progress()->set_files(7);
  return run;
}

v1::Run Failed(absl::StatusCode code, const std::string& error) {
  v1::Run run = RunWith(v1::Outcome::FAILED);
  run.set_code(static_cast<int>(code));
  run.set_error(error);
  return run;
}

v1::Run BackedUp(v1::Outcome::Value outcome) {
  v1::Run run = RunWith(outcome);
  run.mutable_backup()->set_id("db/20260101-000000");
  run.mutable_backup()->set_outcome(outcome);
  run.mutable_backup()->set_files(7);
  return run;
}

class BackupRun : public Session {
 protected:
  BackupRun() { script_.starts = {RunWith(v1::Outcome::PENDING)}; }
};

TEST_F(BackupRun, PrintsTheIdAloneOnStdout) {
  script_.polls = {Running(1 << 20, 0), BackedUp(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "run", "db", "--name", "n", "--reason", "why", "--kind", "full"}), 0);
  EXPECT_EQ(out_, "db/20260101-000000\n");
  EXPECT_THAT(err_, HasSubstr("OK: 7 files"));
  EXPECT_EQ(script_.backup_request.name(), "n");
  EXPECT_EQ(script_.backup_request.reason(), "why");
  EXPECT_EQ(script_.backup_request.kind(), "full");
  EXPECT_TRUE(interrupt_.armed);
}

TEST_F(BackupRun, JsonIsTheBackup) {
  script_.polls = {BackedUp(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "run", "db", "--json"}), 0);
  EXPECT_EQ(Json()["id"], "db/20260101-000000");
  EXPECT_EQ(Json()["outcome"], "OK");
}

TEST_F(BackupRun, NoWaitReturnsAtOnce) {
  EXPECT_EQ(Ember({"backup", "run", "db", "--no-wait"}), 0);
  EXPECT_EQ(out_, "run-1\n");
  EXPECT_THAT(script_.calls, ElementsAre("RunBackup"));
}

TEST_F(BackupRun, RefusesAKindItDoesNotKnow) {
  EXPECT_EQ(Ember({"backup", "run", "db", "--kind", "quick"}), 2);
  EXPECT_THAT(script_.calls, ElementsAre());
}

TEST_F(BackupRun, PartialIsExitThreeAndListsWhatIsMissing) {
  v1::Run run = BackedUp(v1::Outcome::PARTIAL);
  v1::PathProblem* problem = run.add_problems();
  problem->set_path("/srv/a\x1b\xff");
  problem->set_problem("permission denied");
  run.set_problems_total(3);
  script_.polls = {run};
  EXPECT_EQ(Ember({"backup", "run", "db"}), 3);
  EXPECT_EQ(out_, "db/20260101-000000\n");
  EXPECT_THAT(
      err_,
      HasSubstr("not backed up: 3 paths\n  /srv/a\\x1b\\xff: permission denied\n  and 2 more\n"));
}

TEST_F(BackupRun, AFailureExitsByItsCode) {
  const std::pair<absl::StatusCode, int> table[] = {
      {absl::StatusCode::kDataLoss, 7},
      {absl::StatusCode::kNotFound, 5},
      {absl::StatusCode::kResourceExhausted, 1},
      {absl::StatusCode::kUnavailable, 1},  // the vault, not the EM
      {absl::StatusCode::kDeadlineExceeded, 1},
      {absl::StatusCode::kOk, 1},
      {static_cast<absl::StatusCode>(77), 1}};
  for (const auto& [code, exit] : table) {
    script_.starts = {RunWith(v1::Outcome::PENDING)};
    script_.polls = {Failed(code, "vault nas: gone")};
    EXPECT_EQ(Ember({"backup", "run", "db"}), exit) << static_cast<int>(code);
    EXPECT_EQ(out_, "");
    EXPECT_THAT(err_, HasSubstr("the backup of 'db' failed"));
    EXPECT_THAT(err_, HasSubstr("vault nas: gone"));
  }
}

TEST_F(BackupRun, CtrlCCancelsTheRun) {
  script_.polls = {Running(1, 0)};
  script_.cancelled = Failed(absl::StatusCode::kCancelled, "cancelled");
  clock_.on_sleep = [&, n = 0]() mutable {
    if (++n == 2) interrupt_.pressed.Notify();
  };
  EXPECT_EQ(Ember({"backup", "run", "db"}), 1);
  EXPECT_THAT(script_.calls, ElementsAre("RunBackup", "GetRun", "CancelRun"));
  EXPECT_THAT(err_, HasSubstr("cancelled the backup of 'db'"));
  EXPECT_EQ(out_, "");
}

TEST_F(BackupRun, OutlivesAnEmThatIsAwayForLessThanTheTimeout) {
  script_.polls = {absl::UnavailableError("restarting"), absl::UnavailableError("restarting"),
                   BackedUp(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "run", "db"}), 0);
  EXPECT_EQ(out_, "db/20260101-000000\n");
  EXPECT_THAT(err_, HasSubstr("trying again"));
}

TEST_F(BackupRun, GivesUpWhenTheEmStaysAway) {
  script_.polls = {absl::UnavailableError("gone")};
  const absl::Duration start = clock_.Monotonic();
  EXPECT_EQ(Ember({"backup", "run", "db", "--timeout", "3"}), 6);
  EXPECT_GE(clock_.Monotonic() - start, absl::Seconds(3));
  EXPECT_LT(clock_.Monotonic() - start, absl::Seconds(4));
  EXPECT_EQ(out_, "");
}

TEST_F(BackupRun, ARunThatTheEmForgotIsNotWaitedForForever) {
  script_.polls = {absl::NotFoundError("no run 'run-1'")};
  EXPECT_EQ(Ember({"backup", "run", "db"}), 5);
}

TEST_F(BackupRun, ProgressWithoutATerminalIsOneLinePerPeriod) {
  for (int i = 1; i <= 100; ++i)
    script_.polls.push_back(Running(int64_t{i} << 20, int64_t{200} << 20));
  script_.polls.push_back(BackedUp(v1::Outcome::OK));
  EXPECT_EQ(Ember({"backup", "run", "db"}), 0);
  // 100 polls are 25 s.
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 3);
  EXPECT_THAT(err_, HasSubstr("reading, 40 MiB read, 7 files, 4.0 MiB/s, 20 %, ETA 40 s"));
  EXPECT_THAT(err_, Not(HasSubstr("\x1b")));
}

TEST_F(BackupRun, ProgressOnATerminalIsRedrawnAndErased) {
  terminal_ = true;
  script_.polls = {Running(1 << 20, 0), BackedUp(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "run", "db"}), 0);
  EXPECT_THAT(err_, HasSubstr("\r\x1b[Kreading, 1.0 MiB read, 7 files\r\x1b[K"));
  EXPECT_THAT(err_, Not(HasSubstr("%")));
  EXPECT_EQ(out_, "db/20260101-000000\n");
}

TEST_F(Session, VerifySaysWhatWasReadAndFindsDamage) {
  v1::Run run = RunWith(v1::Outcome::OK);
  run.set_backup_id("db/20260101-000000");
  run.mutable_verify()->set_files(7);
  script_.starts = {RunWith(v1::Outcome::PENDING)};
  script_.polls = {run};
  EXPECT_EQ(Ember({"backup", "verify", "db@latest"}), 0);
  EXPECT_THAT(out_, HasSubstr("db/20260101-000000 verified: 7 files"));
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "verify", "db@latest", "--json"}), 0);
  EXPECT_EQ(Json()["verify"]["files"], 7);
  EXPECT_EQ(script_.verify_request.sample_percent(), 0);
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "verify", "db@latest", "--sample", "10"}), 0);
  EXPECT_EQ(script_.verify_request.sample_percent(), 10);
  EXPECT_EQ(Ember({"backup", "verify", "db@latest", "--sample", "0"}), 2);
  script_.starts = {Failed(absl::StatusCode::kDataLoss, "pack 12 is corrupt")};
  EXPECT_EQ(Ember({"backup", "verify", "db@latest", "--json"}), 7);
  EXPECT_EQ(Json()["error"]["code"], "DATA_LOSS");
}

TEST_F(Session, TheListComparesEachStoredBackupWithWhatIsThereNow) {
  script_.backups.add_items()->set_id("db/20260102-000000");
  script_.backups.mutable_items(0)->set_outcome(v1::Outcome::OK);
  script_.backups.add_items()->set_id("db/20260101-000000");
  script_.backups.mutable_items(1)->set_outcome(v1::Outcome::FAILED);
  v1::Run comparison = RunWith(v1::Outcome::OK);
  comparison.mutable_restore()->set_added(11);
  comparison.mutable_restore()->set_changed(22);
  comparison.mutable_restore()->set_removed(33);
  script_.starts = {comparison};
  EXPECT_EQ(Ember({"backup", "list", "db", "--compare"}), 0) << err_;
  ASSERT_EQ(script_.restores.size(), 1u) << "of what failed there is nothing to compare";
  EXPECT_TRUE(script_.restores[0].dry_run());
  EXPECT_EQ(script_.restores[0].backup(), "db/20260102-000000");
  EXPECT_THAT(out_, ContainsRegex("11 +22 +33\n.*FAILED +- +- +-"));
  script_.starts = {comparison};
  EXPECT_EQ(Ember({"backup", "list", "db", "--compare", "--json"}), 0);
  EXPECT_EQ(Json()["items"][0]["difference"]["removed"], 33);
  EXPECT_TRUE(Json()["items"][1]["difference"].is_null());
}

TEST_F(Session, ABackupThatCannotBeComparedIsSaidAndTheOthersAreCompared) {
  for (const char* id : {"db/2", "db/1"}) {
    v1::Backup* backup = script_.backups.add_items();
    backup->set_id(id);
    backup->set_outcome(v1::Outcome::OK);
  }
  v1::Run damaged = RunWith(v1::Outcome::FAILED);
  damaged.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
  damaged.set_error("records are missing");
  script_.starts = {damaged, RunWith(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "list", "db", "--compare"}), 3);
  EXPECT_THAT(err_, HasSubstr("db/2 cannot be compared"));
  EXPECT_EQ(script_.restores.size(), 2u);
  EXPECT_EQ(Ember({"backup", "list", "--compare"}), 2) << "of one workload at a time";
}

class RestoreVerb : public Session {
 protected:
  // What the comparison finds and what the restore then answers.
  void Play(int64_t added, int64_t changed, int64_t removed) {
    v1::Run comparison = RunWith(v1::Outcome::OK);
    comparison.set_backup_id("db/20260101-000000");
    comparison.mutable_restore()->set_added(added);
    comparison.mutable_restore()->set_changed(changed);
    comparison.mutable_restore()->set_removed(removed);
    v1::Run restored = RunWith(v1::Outcome::OK);
    restored.set_backup_id("db/20260101-000000");
    restored.mutable_restore()->set_files(7);
    restored.mutable_restore()->set_bytes(2048);
    restored.mutable_restore()->add_safety_copies("/srv/.ember-safety-1");
    script_.starts = {comparison, restored};
    script_.restores.clear();
  }
};

TEST_F(RestoreVerb, ComparesThenRestoresWhatWasCompared) {
  Play(1, 2, 3);
  EXPECT_EQ(Ember({"restore", "db@latest", "--yes", "--path", "/srv/a", "--path", "/srv/b"}), 0);
  EXPECT_THAT(err_, HasSubstr("1 added, 2 changed, 3 removed; a safety copy is kept"));
  EXPECT_THAT(out_, HasSubstr("restored db/20260101-000000: 7 files, 2.0 KiB"));
  EXPECT_THAT(out_, HasSubstr("/srv/.ember-safety-1"));
  ASSERT_EQ(script_.restores.size(), 2u);
  EXPECT_TRUE(script_.restores[0].dry_run());
  EXPECT_FALSE(script_.restores[0].confirmed());
  EXPECT_FALSE(script_.restores[1].dry_run());
  EXPECT_TRUE(script_.restores[1].confirmed());
  EXPECT_EQ(script_.restores[1].backup(), "db/20260101-000000");
  EXPECT_THAT(script_.restores[1].paths(), ElementsAre("/srv/a", "/srv/b"));
}

TEST_F(RestoreVerb, InPlaceNeedsConfirmation) {
  Play(0, 1, 0);
  EXPECT_EQ(Ember({"restore", "db@latest"}), 4);
  EXPECT_EQ(script_.restores.size(), 1u);
  EXPECT_THAT(err_, HasSubstr("--yes"));
  Play(0, 1, 0);
  terminal_ = true;
  input_ = "n\n";
  EXPECT_EQ(Ember({"restore", "db@latest"}), 4);
  EXPECT_EQ(script_.restores.size(), 1u);
  Play(0, 1, 0);
  input_ = "y\n";
  EXPECT_EQ(Ember({"restore", "db@latest"}), 0);
  EXPECT_EQ(script_.restores.size(), 2u);
}

TEST_F(RestoreVerb, ElsewhereWhereNothingIsNeedsNoConfirmation) {
  Play(7, 0, 0);
  EXPECT_EQ(Ember({"restore", "db@latest", "--to", "host2:/tmp/out", "--json"}), 0);
  EXPECT_EQ(script_.restores[1].to_node(), "host2");
  EXPECT_EQ(script_.restores[1].to_directory(), "/tmp/out");
  EXPECT_FALSE(script_.restores[1].confirmed());
  EXPECT_EQ(Json()["restore"]["files"], 7);
  Play(7, 1, 0);
  EXPECT_EQ(Ember({"restore", "db@latest", "--to", "host2:/tmp/out"}), 4);
}

TEST_F(RestoreVerb, RefusesATargetThatIsNone) {
  for (const char* bad : {"/tmp/out", "host2", "host2:", "host2:relative", ":/tmp"}) {
    EXPECT_EQ(Ember({"restore", "x", "--to", bad}), 2) << bad;
  }
  EXPECT_THAT(script_.calls, ElementsAre());
}

TEST_F(RestoreVerb, DryRunOnlyShowsTheDifferences) {
  Play(1, 2, 3);
  EXPECT_EQ(Ember({"restore", "x", "--dry-run"}), 0);
  EXPECT_EQ(out_, "1 added, 2 changed, 3 removed; nothing was changed (--dry-run)\n");
  EXPECT_EQ(script_.restores.size(), 1u);
  Play(1, 2, 3);
  EXPECT_EQ(Ember({"restore", "x", "--dry-run", "--json"}), 0);
  EXPECT_EQ(Json()["restore"]["changed"], 2);
}

TEST_F(RestoreVerb, WarningsAreToldInPlainTextToo) {
  Play(0, 1, 0);
  v1::PathProblem* warning = script_.starts[1].mutable_restore()->add_warnings();
  warning->set_path("/srv/a\n");
  warning->set_problem("its owner could not be set: not permitted");
  EXPECT_EQ(Ember({"restore", "x", "--yes"}), 0);
  EXPECT_THAT(err_, HasSubstr("restored, with warnings: 1 path\n"
                              "  /srv/a\\n: its owner could not be set: not permitted\n"));
  EXPECT_THAT(out_, HasSubstr("restored db/20260101-000000"));
}

TEST_F(RestoreVerb, InPlaceNamesTheWayBackToTheSafetyCopy) {
  Play(0, 1, 0);
  v1::Run& run = script_.starts[1];
  run.set_node("n1");
  run.mutable_restore()->clear_safety_copies();
  run.mutable_restore()->add_safety_copies("/srv/d'b.ember-safety-20261126-120000");
  run.mutable_restore()->add_safety_copies("/mnt/disk/.ember-safety-20261126-120000");
  EXPECT_EQ(Ember({"restore", "x", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("to go back to it: ember workload hold db; then on n1:\n"
                              "  mv -T '/srv/d'\\''b' '/srv/d'\\''b.undone' && "
                              "mv -T '/srv/d'\\''b.ember-safety-20261126-120000' '/srv/d'\\''b'\n"
                              "  move what is in '/mnt/disk/.ember-safety-20261126-120000' back"));
  EXPECT_THAT(out_, HasSubstr("ember workload release db"));
  Play(0, 1, 0);
  EXPECT_EQ(Ember({"restore", "x", "--yes", "--to", "n1:/tmp/out"}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("to go back to it")));
}

TEST_F(RestoreVerb, AtAsksForTheNewestGoodBackupOfThatTimeOnce) {
  Play(0, 1, 0);
  EXPECT_EQ(Ember({"restore", "db", "--at", "2026-01-01 12:00", "--yes"}), 0);
  ASSERT_EQ(script_.restores.size(), 2u);
  EXPECT_EQ(script_.restores[0].backup(), "db");
  EXPECT_EQ(script_.restores[0].at().seconds(), 1767268800);
  // What was compared is what is restored.
  EXPECT_EQ(script_.restores[1].backup(), "db/20260101-000000");
  EXPECT_FALSE(script_.restores[1].has_at());
  EXPECT_EQ(Ember({"restore", "db", "--at", "noon-ish", "--yes"}), 2);
}

TEST_F(RestoreVerb, HolesAreExitThree) {
  Play(0, 1, 0);
  v1::PathProblem* hole = script_.starts[1].mutable_restore()->add_holes();
  hole->set_path("/srv/big");
  hole->set_problem("bytes 0-4096 are lost");
  EXPECT_EQ(Ember({"restore", "x", "--anyway", "--yes"}), 3);
  EXPECT_TRUE(script_.restores[1].anyway());
  EXPECT_THAT(err_, HasSubstr("/srv/big: bytes 0-4096 are lost"));
}

TEST_F(RestoreVerb, DamagedDataIsExitSeven) {
  script_.starts = {Failed(absl::StatusCode::kDataLoss, "record 1 is missing")};
  EXPECT_EQ(Ember({"restore", "x", "--yes"}), 7);
  EXPECT_EQ(script_.restores.size(), 1u);
}

}  // namespace
}  // namespace ember::cli
