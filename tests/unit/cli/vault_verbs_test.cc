// The verbs that put a vault to work: vault check, gc, rebuild-index; backup delete, undelete.
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Run JobRun(v1::Outcome::Value outcome) {
  v1::Run run;
  run.set_id("run-1");
  run.set_vault("nas");
  run.set_outcome(outcome);
  return run;
}

v1::Run FailedJob(absl::StatusCode code, const std::string& error) {
  v1::Run run = JobRun(v1::Outcome::FAILED);
  run.set_code(static_cast<int>(code));
  run.set_error(error);
  return run;
}

// A check that found two bad records of one backup.
v1::Run Damaged() {
  v1::Run run =
      FailedJob(absl::StatusCode::kDataLoss,
                "vault 'nas' is damaged: 2 damaged records; needed by db/20260101-000000");
  v1::VaultResult& result = *run.mutable_vault_result();
  result.set_records_checked(100);
  result.set_records_damaged(2);
  result.add_damaged_backups("db/20260101-000000");
  result.add_problems("pack 12\x1b cannot be read");
  return run;
}

class VaultVerbs : public Session {
 protected:
  VaultVerbs() {
    script_.starts = {JobRun(v1::Outcome::PENDING)};
    script_.backup.set_id("db/20260101-000000");
  }
};

TEST_F(VaultVerbs, CheckSaysWhatWasLookedAt) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.mutable_vault_result()->set_records_checked(100);
  run.mutable_vault_result()->set_packs_checked(3);
  run.mutable_vault_result()->set_bytes_read(2048);
  script_.polls = {JobRun(v1::Outcome::RUNNING), run};
  EXPECT_EQ(Ember({"vault", "check", "nas", "--read-data", "--repair"}), 0);
  EXPECT_EQ(out_, "nas checked: 100 records, 3 packs, 2.0 KiB read, 0 damaged, 0 repaired\n");
  ASSERT_EQ(script_.vault_jobs.size(), 1u);
  const v1::VaultJobRequest& request = script_.vault_jobs[0];
  EXPECT_EQ(request.vault(), "nas");
  EXPECT_EQ(request.job(), "check");
  EXPECT_TRUE(request.read_data());
  EXPECT_TRUE(request.repair());
  EXPECT_TRUE(interrupt_.armed);
}

TEST_F(VaultVerbs, DamageThatIsNotRepairedIsExitSevenAndNamesTheBackups) {
  script_.polls = {Damaged()};
  EXPECT_EQ(Ember({"vault", "check", "nas"}), 7);
  EXPECT_THAT(out_, HasSubstr("2 damaged, 0 repaired\n  pack 12\\x1b cannot be read\n"
                              "  damaged: db/20260101-000000\n"));
  EXPECT_EQ(err_,
            "error: vault 'nas' is damaged\n"
            "  why: 2 damaged records; needed by db/20260101-000000\n"
            " next: ember vault check nas --read-data --repair\n");
  EXPECT_FALSE(script_.vault_jobs[0].read_data());
  script_.starts = {JobRun(v1::Outcome::PENDING)};
  EXPECT_EQ(Ember({"vault", "check", "nas", "--json"}), 7);
  EXPECT_EQ(Json()["vault_result"]["records_damaged"], 2);
  EXPECT_EQ(Json()["vault_result"]["damaged_backups"][0], "db/20260101-000000");
  EXPECT_EQ(Json()["code"], static_cast<int>(absl::StatusCode::kDataLoss));
}

TEST_F(VaultVerbs, RepairedDamageIsDone) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.mutable_vault_result()->set_records_repaired(2);
  script_.polls = {run};
  EXPECT_EQ(Ember({"vault", "check", "nas", "--read-data", "--repair"}), 0);
  EXPECT_THAT(out_, HasSubstr("2 repaired"));
}

TEST_F(VaultVerbs, AJobThatFailsExitsByItsCode) {
  const std::pair<absl::StatusCode, int> table[] = {{absl::StatusCode::kDataLoss, 7},
                                                    {absl::StatusCode::kFailedPrecondition, 4},
                                                    {absl::StatusCode::kUnavailable, 1},
                                                    {absl::StatusCode::kResourceExhausted, 1}};
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"vault", "check", "nas"},
                                               {"vault", "gc", "nas"},
                                               {"vault", "rebuild-index", "nas"},
                                               {"backup", "delete", "x"},
                                               {"backup", "undelete", "x"}}) {
    for (const auto& [code, exit] : table) {
      script_.starts = {JobRun(v1::Outcome::PENDING)};
      script_.polls = {FailedJob(code, "the disk is gone")};
      EXPECT_EQ(Ember(verb), exit) << verb[1] << " " << static_cast<int>(code);
      EXPECT_EQ(out_, "") << verb[1];
      EXPECT_THAT(err_, HasSubstr("the disk is gone")) << verb[1];
    }
  }
}

TEST_F(VaultVerbs, CtrlCCancelsTheRun) {
  script_.polls = {JobRun(v1::Outcome::RUNNING)};
  script_.cancelled = FailedJob(absl::StatusCode::kCancelled, "cancelled");
  clock_.on_sleep = [&, n = 0]() mutable {
    if (++n == 2) interrupt_.pressed.Notify();
  };
  EXPECT_EQ(Ember({"vault", "gc", "nas"}), 1);
  EXPECT_THAT(script_.calls, ElementsAre("RunVaultJob", "GetRun", "CancelRun"));
  EXPECT_THAT(err_, HasSubstr("cancelled the garbage collection of 'nas'"));
}

TEST_F(VaultVerbs, GcSaysWhatItFreed) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.mutable_vault_result()->set_bytes_freed(4096);
  run.mutable_vault_result()->add_backups("db/1");
  script_.polls = {run};
  EXPECT_EQ(Ember({"vault", "gc", "nas"}), 0);
  EXPECT_THAT(out_, HasSubstr("4.0 KiB freed"));
  EXPECT_THAT(out_, HasSubstr("1 backup purged"));
  EXPECT_EQ(script_.vault_jobs[0].job(), "gc");
  EXPECT_FALSE(script_.vault_jobs[0].empty_trash());
  script_.starts = {run};
  EXPECT_EQ(Ember({"vault", "gc", "nas", "--json"}), 0);
  EXPECT_EQ(Json()["vault_result"]["bytes_freed"], 4096);
}

TEST_F(VaultVerbs, EmptyingTheTrashIsConfirmed) {
  script_.cost = "emptying the trash removes db/1 for good";
  script_.polls = {JobRun(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"vault", "gc", "nas", "--empty-trash"}), 4);
  EXPECT_THAT(err_, HasSubstr("emptying the trash removes db/1 for good"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_EQ(script_.vault_jobs.size(), 1u);
  EXPECT_EQ(Ember({"vault", "gc", "nas", "--empty-trash", "--yes"}), 0);
  EXPECT_TRUE(script_.vault_jobs.back().confirmed());
  EXPECT_TRUE(script_.vault_jobs.back().empty_trash());
}

TEST_F(VaultVerbs, RebuildIndex) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.mutable_vault_result()->add_problems("1 packs cannot be read");
  script_.polls = {run};
  EXPECT_EQ(Ember({"vault", "rebuild-index", "nas"}), 0);
  EXPECT_EQ(out_,
            "the index of nas was made anew\n"
            "  still wrong: 1 packs cannot be read\n");
  EXPECT_EQ(script_.vault_jobs[0].job(), "rebuild-index");
}

TEST_F(VaultVerbs, HealingFromASecondVaultIsACheckOfEveryByteWithRepair) {
  script_.polls = {JobRun(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"vault", "check", "nas", "--from", "usb"}), 0);
  ASSERT_EQ(script_.vault_jobs.size(), 1u);
  EXPECT_EQ(script_.vault_jobs[0].from(), "usb");
  EXPECT_TRUE(script_.vault_jobs[0].read_data());
  EXPECT_TRUE(script_.vault_jobs[0].repair());
}

TEST_F(VaultVerbs, ReplicateSaysWhatIsThereAndWhatWasCopied) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.mutable_vault_result()->add_backups("db/1");
  run.mutable_vault_result()->set_records_copied(3);
  run.mutable_vault_result()->set_bytes_copied(2048);
  script_.polls = {run};
  EXPECT_EQ(Ember({"vault", "replicate", "nas", "usb"}), 0);
  EXPECT_EQ(out_, "usb has 1 backup of nas: 3 records, 2.0 KiB copied now\n");
  EXPECT_EQ(script_.vault_jobs[0].job(), "replicate");
  EXPECT_EQ(script_.vault_jobs[0].vault(), "usb");
  EXPECT_EQ(script_.vault_jobs[0].from(), "nas");
}

TEST_F(VaultVerbs, WhatCannotBeCopiedIsListedAndExitSeven) {
  v1::Run run = FailedJob(absl::StatusCode::kDataLoss, "others could not be");
  run.mutable_vault_result()->add_problems("backup db/2 is not copied");
  script_.polls = {run};
  EXPECT_EQ(Ember({"vault", "replicate", "nas", "usb"}), 7);
  EXPECT_THAT(err_, HasSubstr("backup db/2 is not copied"));
}

TEST_F(VaultVerbs, WhatIsDamagedShowsInsteadOfTheOutcome) {
  script_.backup.set_outcome(v1::Outcome::OK);
  script_.backup.set_error("vault 'nas' lost records of it");
  script_.backup.set_damaged(true);
  *script_.backups.add_items() = script_.backup;
  EXPECT_EQ(Ember({"backup", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("damaged"));
  EXPECT_THAT(out_, ::testing::Not(HasSubstr("OK")));
}

TEST_F(VaultVerbs, DeletingAsksWithWhatIsLost) {
  script_.cost = "deleting db/20260101-000000 loses 7 files";
  script_.polls = {JobRun(v1::Outcome::OK)};
  EXPECT_EQ(Ember({"backup", "delete", "db@latest"}), 4);
  EXPECT_THAT(err_, HasSubstr("loses 7 files"));
  EXPECT_EQ(script_.deletes.size(), 1u);
  EXPECT_EQ(script_.deletes[0].id(), "db/20260101-000000") << "what was meant, not what is latest";
  terminal_ = true;
  input_ = "n\n";
  EXPECT_EQ(Ember({"backup", "delete", "db@latest"}), 4);
  EXPECT_EQ(script_.deletes.size(), 2u);
  input_ = "y\n";
  EXPECT_EQ(Ember({"backup", "delete", "db@latest", "--why", "too old"}), 0);
  EXPECT_TRUE(script_.deletes.back().confirmed());
  EXPECT_EQ(script_.deletes.back().why(), "too old");
  EXPECT_EQ(out_,
            "deleted db/20260101-000000; to have it back: ember backup undelete "
            "db/20260101-000000\n");
}

TEST_F(VaultVerbs, WhatIsRefusedIsNotAskedAbout) {
  script_.refusal = absl::FailedPreconditionError("backup db/1 cannot be deleted: it is pinned");
  terminal_ = true;
  input_ = "y\n";
  EXPECT_EQ(Ember({"backup", "delete", "db/1"}), 4);
  EXPECT_THAT(err_, HasSubstr("  why: it is pinned\n"));
  EXPECT_EQ(script_.deletes.size(), 1u);
}

TEST_F(VaultVerbs, UndeletingSaysWhatIsBack) {
  v1::Run run = JobRun(v1::Outcome::OK);
  run.set_backup_id("db/20260101-000000");
  run.set_kind("undelete");
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "undelete", "db/2026"}), 0);
  EXPECT_EQ(out_, "undeleted db/20260101-000000\n");
  EXPECT_EQ(script_.undelete_request.id(), "db/2026");
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "undelete", "db/2026", "--json"}), 0);
  EXPECT_EQ(Json()["kind"], "undelete");
}

TEST_F(VaultVerbs, WhatIsInTheTrashShows) {
  script_.backup.set_trashed(true);
  script_.backup.set_verified(true);
  script_.backup.set_verified_level("L1");
  *script_.backups.add_items() = script_.backup;
  EXPECT_EQ(Ember({"backup", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("in trash"));
  EXPECT_THAT(out_, HasSubstr("L1"));
  EXPECT_EQ(Ember({"backup", "show", "x"}), 0);
  EXPECT_THAT(out_, HasSubstr("in the trash until"));
}

}  // namespace
}  // namespace ember::cli
