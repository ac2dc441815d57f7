// Damage met while a backup is read makes it a bad one; a look changes nothing.
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/recover/recoveries.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One thread, so the state's lock orders nothing here.
class Damage : public EmFixture {
 protected:
  Damage() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AddNode("n1");
    controller::Batch batch;
    rec::EstateRecord estate;
    v1::WorkloadSpec& spec = *estate.mutable_estate()->add_workloads();
    spec.set_name("db");
    spec.set_node("n1");
    spec.add_sources()->mutable_files()->add_paths("/srv/db");
    v1::VaultSpec& vault = *estate.mutable_estate()->add_vaults();
    vault.set_name("nas");
    vault.set_node("n1");
    batch.Put(estate);
    rec::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    workload.set_epoch(1);
    batch.Put(workload);
    EXPECT_OK(em_->Commit(batch));
    em_->board.nodes["n1"].address = "10.0.0.1:7444";
    v1::WorkloadFact& fact = em_->board.nodes["n1"].workloads["db"].fact;
    fact.set_workload("db");
    fact.set_epoch(1);
    fact.set_data_missing(true);
    old_ = Add(absl::Hours(9));
    newest_ = Add(absl::Hours(1));
  }

  std::string Add(absl::Duration age) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::BackupRecord record;
    v1::Backup& backup = *record.mutable_backup();
    const absl::Time made = clock_.Now() - age;
    backup.set_workload("db");
    backup.set_id(BackupId("db", made, 0));
    backup.set_outcome(v1::Outcome::OK);
    backup.set_verified(true);
    *backup.mutable_created() = rpc::ToTimestamp(made);
    *record.mutable_vault_received() = rpc::ToTimestamp(made);
    record.set_vault("nas");
    record.set_domain_id("node-n1");
    Put(record);
    return backup.id();
  }
  void Put(controller::Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(std::move(record));
    ASSERT_OK(em_->Commit(batch));
  }

  // A run of `kind` on `backup`, as asked for.
  rec::RunRecord Ask(absl::string_view kind,
                     const std::string& backup) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::RunRecord run = controller::NewRun(*em_, kind, "db");
    run.mutable_run()->set_backup_id(backup);
    return run;
  }
  // Takes the run to its order, answers that with `update`, and takes the run to its end.
  v1::Run Finish(rec::RunRecord run, v1::OrderUpdate update) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const std::string id = run.run().id();
    Put(run);
    EXPECT_OK(controller::AdvanceRuns(*em_));
    const std::string order_id = em_->catalog->runs().at(id).order_id();
    EXPECT_NE(order_id, "") << em_->catalog->runs().at(id).run().error();
    if (order_id.empty()) return {};
    Answer(order_id, std::move(update));
    EXPECT_OK(controller::AdvanceRuns(*em_));
    return em_->catalog->runs().at(id).run();
  }
  void Answer(const std::string& order_id, v1::OrderUpdate update) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::OrderRecord order = em_->catalog->orders().at(order_id);
    update.set_order_id(order_id);
    *order.mutable_last_update() = std::move(update);
    order.set_finished(true);
    Put(order);
  }
  static v1::OrderUpdate Lost() {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
    update.set_error("backup is damaged: a record is not in the vault");
    return update;
  }
  static v1::OrderUpdate Done() {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    return update;
  }

  std::vector<std::string> GoodIds() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const rec::BackupRecord* good : controller::GoodBackups(*em_, "db"))
      ids.push_back(good->backup().id());
    return ids;
  }
  const v1::Backup& Shown(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->backups().at(id).backup();
  }
  std::vector<std::string> Events() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> types;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
      types.push_back(event.event().type());
      return true;
    }));
    return types;
  }

  std::string old_;
  std::string newest_;
};

TEST_F(Damage, MetByARestoreMakesTheBackupABadOne) {
  const v1::Run run = Finish(Ask("restore", newest_), Lost());
  EXPECT_EQ(run.outcome(), v1::Outcome::FAILED);
  EXPECT_FALSE(Shown(newest_).verified());
  EXPECT_THAT(Shown(newest_).error(), HasSubstr("is damaged"));
  EXPECT_THAT(GoodIds(), ElementsAre(old_));
  EXPECT_THAT(Events(), ElementsAre("backup.damaged", "restore.failed"));
}

TEST_F(Damage, PassedOverByARestoreAnywayMakesItABadOneToo) {
  v1::OrderUpdate update = Done();
  update.mutable_restore()->add_holes()->set_problem("bytes 0-4096 are lost");
  EXPECT_EQ(Finish(Ask("restore", newest_), update).outcome(), v1::Outcome::PARTIAL);
  EXPECT_THAT(GoodIds(), ElementsAre(old_));
}

TEST_F(Damage, OfTheTargetOrTheWayThereSaysNothingAboutTheBackup) {
  v1::OrderUpdate update = Lost();
  update.set_code(static_cast<int>(absl::StatusCode::kInternal));
  Finish(Ask("restore", newest_), update);
  EXPECT_THAT(GoodIds(), ElementsAre(newest_, old_));
}

TEST_F(Damage, IsForgottenOnceEveryByteWasReadAgain) {
  Finish(Ask("restore", newest_), Lost());
  v1::OrderUpdate update = Done();
  update.mutable_verify()->set_files(1);
  Finish(Ask("verify", newest_), update);
  EXPECT_TRUE(Shown(newest_).verified());
  EXPECT_EQ(Shown(newest_).error(), "");
  EXPECT_THAT(GoodIds(), ElementsAre(newest_, old_));
}

TEST_F(Damage, OfTheNewestBackupSendsARecoveryToThePreviousOne) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  rec::RecoveryRecord recovery;
  recovery.mutable_recovery()->set_id("r-1");
  recovery.mutable_recovery()->set_workload("db");
  recovery.mutable_recovery()->set_node("n1");
  recovery.mutable_recovery()->set_state(v1::RecoveryState::PLANNED);
  *recovery.mutable_recovery()->mutable_started() = rpc::ToTimestamp(clock_.Now());
  Put(recovery);
  const auto now = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->recoveries().at("r-1");
  };
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  ASSERT_EQ(now().recovery().state(), v1::RecoveryState::RESTORING) << now().recovery().message();
  EXPECT_EQ(now().recovery().backup_id(), newest_);
  Answer(now().order_id(), Lost());
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  EXPECT_THAT(GoodIds(), ElementsAre(old_));
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  EXPECT_EQ(now().recovery().state(), v1::RecoveryState::RESTORING) << now().recovery().message();
  EXPECT_EQ(now().recovery().backup_id(), old_);
  EXPECT_THAT(Events(), ::testing::Contains("backup.damaged"));
}

TEST_F(Damage, AComparisonIsNoEventHoweverItEnds) {
  rec::RunRecord run = Ask("restore", newest_);
  run.mutable_restore_request()->set_dry_run(true);
  v1::OrderUpdate update = Done();
  update.mutable_restore()->set_changed(1);
  EXPECT_EQ(Finish(run, update).outcome(), v1::Outcome::OK);
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(Damage, AListingIsNoEventAndOnlyTheLastAreKept) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (size_t i = 0; i < kListingsKept + 5; ++i) {
    v1::OrderUpdate update = Done();
    update.mutable_files()->add_items()->set_path("/srv/db/a");
    const v1::Run run = Finish(Ask("files", newest_), update);
    EXPECT_EQ(run.files().items(0).path(), "/srv/db/a");
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(em_->catalog->runs().size(), kListingsKept);
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(Damage, AnInstantMeansTheNewestGoodBackupOfThen) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const auto at = [&](const std::string& text, absl::Duration ago) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = controller::NewestGoodAt(*em_, text, clock_.Now() - ago);
    return found.ok() ? (*found)->backup().id() : absl::StatusCodeToString(found.status().code());
  };
  EXPECT_EQ(at("db", absl::ZeroDuration()), newest_);
  EXPECT_EQ(at(newest_, absl::Hours(2)), old_);
  EXPECT_EQ(at("db", absl::Hours(2)), old_);
  EXPECT_EQ(at("db", absl::Hours(10)), "NOT_FOUND");
  EXPECT_EQ(at("nothing", absl::ZeroDuration()), "NOT_FOUND");
  Finish(Ask("restore", newest_), Lost());
  EXPECT_EQ(at("db", absl::ZeroDuration()), old_);
}

}  // namespace
}  // namespace ember::testing
