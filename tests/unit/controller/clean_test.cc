#include "controller/protect/clean.h"

#include "controller/fleet/beats.h"
#include "tests/unit/controller/vault_jobs_fixture.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ember::testing::HasCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CleanTest : public VaultJobs {
 protected:
  // db/1 to db/3 are there; one more per day up to `last`, all made by the policy "daily".
  void AddDaily(int last) {
    for (int n = 4; n <= last; ++n) {
      clock_.Advance(absl::Hours(24));
      AddBackup(absl::StrCat("db/", n));
    }
    for (int n = 1; n <= last; ++n)
      Change(absl::StrCat("db/", n),
             [](rec::BackupRecord& r) { r.mutable_backup()->set_policy("daily"); });
  }
  v1::Estate EstateWith(int last) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::Estate estate = em_.catalog->estate().estate();
    estate.clear_policies();
    v1::PolicySpec* policy = estate.add_policies();
    policy->set_name("daily");
    policy->add_vaults("nas");
    if (last > 0) policy->mutable_keep()->set_last(last);
    estate.mutable_workloads(0)->clear_policies();
    estate.mutable_workloads(0)->add_policies("daily");
    return estate;
  }
  void KeepLast(int last, int budget = 100) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate = em_.catalog->estate();
    *estate.mutable_estate() = EstateWith(last);
    estate.mutable_estate()->mutable_vaults(0)->set_deletion_budget_percent(budget);
    estate.set_version(estate.version() + 1);
    Write(estate);
    rec::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    Write(workload);
    em_.board.nodes["nas1"].vaults["nas"].set_vault_id("the disk");
    em_.board.nodes["nas1"].config_version = ConfigVersionFor(em_, "nas1");
  }
  std::vector<std::string> Goes(CleanRules rules = CleanRules::kAsDeclared)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const v1::CleanItem& item : PlanClean(em_, em_.catalog->estate().estate(), "db", rules)) {
      if (!item.keep()) ids.push_back(item.id());
    }
    return ids;
  }
  void Due() ABSL_NO_THREAD_SAFETY_ANALYSIS { EXPECT_OK(AddDueDeletions(em_)); }
  // What is to be deleted, and by whom.
  std::vector<std::string> Asked() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const auto& [id, run] : em_.catalog->runs()) {
      if (run.run().kind() == "delete" && IsOpenRun(run))
        ids.push_back(absl::StrCat(run.run().backup_id(), run.who().empty() ? "" : " ", run.who()));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::string WhyOf(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const v1::CleanItem& item :
         PlanClean(em_, em_.catalog->estate().estate(), "db", CleanRules::kAsDeclared)) {
      if (item.id() == id) return item.reason();
    }
    return "";
  }
  absl::StatusOr<v1::CleanReply> CleanBy(const std::string& who, std::vector<std::string> ids,
                                         bool confirmed) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::CleanRequest request;
    *request.mutable_ids() = {ids.begin(), ids.end()};
    request.set_confirmed(confirmed);
    return Clean(em_, who, request);
  }
  void EndDeletion(const std::string& id) {
    Advance();
    Change(id, [&](rec::BackupRecord& r) {
      r.mutable_backup()->set_trashed(true);
      *r.mutable_backup()->mutable_trashed_until() =
          rpc::ToTimestamp(clock_.Now() + absl::Hours(1));
    });
    EndRuns();
  }
  void EndRuns() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<rec::RunRecord> runs;
    for (const auto& [run_id, run] : em_.catalog->runs()) runs.push_back(run);
    for (rec::RunRecord& run : runs) {
      run.mutable_run()->set_outcome(v1::Outcome::OK);
      Write(run);
    }
  }
};

TEST_F(CleanTest, WithoutARuleNothingGoesByItselfAndOnAskingWhatTheDefaultLets) {
  for (int n = 4; n <= 40; ++n) {
    clock_.Advance(absl::Hours(24));
    AddBackup(absl::StrCat("db/", n));
  }
  EXPECT_THAT(Goes(), IsEmpty());
  KeepLast(0);
  Due();
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(Goes(CleanRules::kWithDefault).size(), 40u - 10u - 3u)
      << "the last ten, and the newest of three weeks before";
}

TEST_F(CleanTest, ByRuleTheOldestGoFirstAndNoMoreThanTheBudgetAllows) {
  AddDaily(10);
  KeepLast(4, 20);
  EXPECT_THAT(Goes(), ElementsAre("db/6", "db/5", "db/4", "db/3", "db/2", "db/1"));
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/1", "db/2")) << "20 % of ten";
  clock_.Advance(absl::Hours(1));
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/1", "db/2"))
      << "the vault may be away: they are asked for once";
  EndDeletion("db/1");
  EndDeletion("db/2");
  clock_.Advance(absl::Hours(2));
  Due();
  EXPECT_THAT(Asked(), IsEmpty()) << "the budget of this day is used up";
  clock_.Advance(absl::Hours(23));
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/3")) << "20 % of eight";
}

TEST_F(CleanTest, ItIsLookedAtAfterAChangeOfTheEstateAndEachHour) {
  AddDaily(5);
  KeepLast(5);
  Due();
  EXPECT_THAT(Asked(), IsEmpty());
  AddBackup("db/6");
  Due();
  EXPECT_THAT(Asked(), IsEmpty()) << "judged a moment ago";
  clock_.Advance(absl::Hours(1));
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/1"));
  EndDeletion("db/1");
  KeepLast(4);
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/2"));
}

TEST_F(CleanTest, WhatTheRulesWouldKeepByNowIsNotDeleted) {
  AddDaily(5);
  KeepLast(3);
  Due();
  EXPECT_THAT(Asked(), ElementsAre("db/1", "db/2"));
  Change("db/5", [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  Advance();
  EXPECT_TRUE(RecordOf("db/1").backup().trashed());
  Advance();
  EndRuns();
  EXPECT_FALSE(RecordOf("db/2").backup().trashed()) << "one of the last three good ones";
}

TEST_F(CleanTest, WhatStaysSaysWhy) {
  AddDaily(8);
  KeepLast(1);
  Change("db/1", [](rec::BackupRecord& r) { r.mutable_backup()->set_pinned(true); });
  Change("db/2", [](rec::BackupRecord& r) { r.mutable_backup()->set_orphan(true); });
  Change("db/3", [](rec::BackupRecord& r) { r.set_vault("gone"); });
  rec::RunRecord restore = NewRunOf("restore");
  restore.mutable_run()->set_backup_id("db/4");
  Write(restore);
  Change("db/5", [](rec::BackupRecord& r) { r.set_vault_id("another disk"); });
  EXPECT_THAT(Goes(), ElementsAre("db/7", "db/6"));
  EXPECT_EQ(WhyOf("db/5"), "the disk of vault 'nas' with it is not there");
  EXPECT_EQ(WhyOf("db/1"), "it is pinned");
  EXPECT_THAT(WhyOf("db/2"), HasSubstr("a person decides"));
  EXPECT_THAT(WhyOf("db/3"), HasSubstr("its vault 'gone' is not declared"));
  EXPECT_THAT(WhyOf("db/4"), HasSubstr("it is in use by run-"));
}

TEST_F(CleanTest, TheCopyInAVaultThatNoPolicyNamesStays) {
  AddDaily(3);
  KeepLast(1);
  rec::EstateRecord estate;
  *estate.mutable_estate() = EstateWith(1);
  v1::VaultSpec* net = estate.mutable_estate()->add_vaults();
  net->set_name("net");
  net->set_node("nas1");
  net->add_replicate_from("nas");
  Write(estate);
  Change("db/1", [](rec::BackupRecord& r) { r.set_vault("net"); });
  EXPECT_THAT(Goes(), ElementsAre("db/2"));
  EXPECT_THAT(WhyOf("db/1"), HasSubstr("only its copy in 'net' is left"));
}

TEST_F(CleanTest, APersonConfirmsAndWhatMustStayByNowIsTold) {
  AddDaily(6);
  KeepLast(2, 10);
  EXPECT_THAT(CleanBy("ann", {"db/1", "db/2"}, false),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_THAT(CleanBy("ann", {"db/9"}, true), HasCode(absl::StatusCode::kNotFound));
  Change("db/2", [](rec::BackupRecord& r) { r.mutable_backup()->set_pinned(true); });
  const auto reply = CleanBy("ann", {"db/1", "db/2", "db/3", "db/4"}, true);
  ASSERT_OK(reply.status());
  EXPECT_EQ(reply->runs_size(), 3) << "the budget is for what nobody asked for";
  ASSERT_EQ(reply->kept_size(), 1);
  EXPECT_EQ(reply->kept(0).reason(), "it is pinned");
  EXPECT_THAT(Asked(), ElementsAre("db/1 ann", "db/3 ann", "db/4 ann"));
}

TEST_F(CleanTest, AShorterRuleTellsWhatWouldGo) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddDaily(8);
  KeepLast(6);
  EXPECT_THAT(WhatMoreWouldGo(em_, EstateWith(6)), IsEmpty());
  EXPECT_THAT(WhatMoreWouldGo(em_, EstateWith(0)), IsEmpty());
  EXPECT_THAT(WhatMoreWouldGo(em_, EstateWith(3)),
              ElementsAre(HasSubstr("of 'db' 3 backups would go")));
}

}  // namespace
}  // namespace ember::controller
