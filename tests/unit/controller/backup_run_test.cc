// A backup from its due time to its end: schedules, attempts, reading back what was stored, alarms.
#include "controller/protect/deletable.h"
#include "tests/unit/controller/backup_run_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(BackupRun, StoredAndReadBackItIsGood) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7));
  EXPECT_EQ(Only().outcome(), v1::Outcome::OK);
  EXPECT_THAT(GoodIds(), ElementsAre(id));
  EXPECT_EQ(LastGood(), id);
}

TEST_F(BackupRun, DamageWhenReadBackFailsIt) {
  for (const Code code : {Code::kDataLoss, Code::kUnknown}) {
    Ask();
    const std::string id = Order().backup().backup_id();
    v1::OrderUpdate update = Stored(v1::Outcome::OK, 7, code);
    if (code == Code::kUnknown) update.mutable_backup()->clear_read_back_code();  // an older agent
    Answer(update);
    EXPECT_EQ(Runs().back().run().outcome(), v1::Outcome::FAILED);
    EXPECT_EQ(Runs().back().run().code(), static_cast<int>(Code::kDataLoss));
    EXPECT_EQ(Shown(id).error(), "the cause");
    EXPECT_THAT(GoodIds(), IsEmpty());
    clock_.Advance(absl::Minutes(1));
  }
}

TEST_F(BackupRun, WhatWasNotReadBackToItsEndIsVerifiedInstead) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7, Code::kUnavailable));
  EXPECT_EQ(Only().outcome(), v1::Outcome::PENDING);
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::OK);
  EXPECT_EQ(Shown(id).error(), "") << "nothing says that it is damaged";
  EXPECT_THAT(GoodIds(), IsEmpty());
  EXPECT_EQ(LastGood(), "");
  Restart();
  Hear();
  WaitForRetry();
  EXPECT_EQ(Order().verify().backup_id(), id);
  EXPECT_EQ(Order().verify().vault().name(), "near");
  Answer(Verified());
  EXPECT_EQ(Only().outcome(), v1::Outcome::OK);
  EXPECT_EQ(Only().error(), "");
  EXPECT_EQ(Only().backup().id(), id);
  EXPECT_TRUE(Only().backup().verified());
  EXPECT_THAT(GoodIds(), ElementsAre(id));
  EXPECT_EQ(LastGood(), id);
}

TEST_F(BackupRun, AVerificationThatFindsDamageSaysSo) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7, Code::kUnavailable));
  WaitForRetry();
  Answer(Failed(Code::kDataLoss));
  EXPECT_EQ(Only().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Only().code(), static_cast<int>(Code::kDataLoss));
  EXPECT_EQ(Shown(id).error(), "the cause");
  EXPECT_THAT(GoodIds(), IsEmpty());
}

TEST_F(BackupRun, VerificationsInVainEnd) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7, Code::kUnavailable));
  for (int attempt = 1; attempt < kBackupAttemptsMax; ++attempt) {
    WaitForRetry();
    Answer(Failed(Code::kUnavailable));
  }
  EXPECT_EQ(Only().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Only().code(), static_cast<int>(Code::kUnavailable));
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::OK) << "it is stored, and can be verified later";
  EXPECT_EQ(Shown(id).error(), "the cause") << "why it is not verified";
  EXPECT_FALSE(Shown(id).damaged());
  EXPECT_THAT(GoodIds(), IsEmpty());
}

TEST_F(BackupRun, TheVerificationWaitsForTheVault) {
  Ask();
  Answer(Stored(v1::Outcome::OK, 7, Code::kUnavailable));
  SetNode("nas1", v1::NodeState::SUSPECT);
  WaitForRetry();
  EXPECT_THAT(Only().error(), HasSubstr("nas1 is not ALIVE"));
  EXPECT_EQ(Only().outcome(), v1::Outcome::PENDING);
  SetNode("nas1", v1::NodeState::ALIVE);
  Tick();
  Answer(Verified());
  EXPECT_EQ(Only().outcome(), v1::Outcome::OK);
}

TEST_F(BackupRun, AnInterruptedCommitIsPartialAndNoLoss) {
  Ask();
  const std::string good = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7));
  clock_.Advance(absl::Minutes(1));
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::PARTIAL, 0, Code::kAborted));
  WaitForRetry();
  Answer(Verified());
  EXPECT_EQ(Runs().back().run().outcome(), v1::Outcome::PARTIAL);
  EXPECT_EQ(Shown(id).error(), "") << "not every file is gone";
  EXPECT_THAT(GoodIds(), ElementsAre(good));
  EXPECT_EQ(LastGood(), good);
}

// The node was taken for dead while it stored it.
TEST_F(BackupRun, WhatWasStoredAlthoughItsRunFailedIsShown) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Ask();
  const std::string id = Order().backup().backup_id();
  v1::OrderUpdate update = Stored(v1::Outcome::OK, 7);
  update.set_order_id(Order().id());
  const v1::BackupOrder stored = Order().backup();
  *update.mutable_backup()->mutable_receipt() = ReceiptFor(stored, "db");
  SetNode("n1", v1::NodeState::DEAD);
  Tick();
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::FAILED);
  SetNode("n1", v1::NodeState::ALIVE);
  v1::HeartbeatRequest beat;
  beat.set_node("n1");
  *beat.mutable_sent_at() = rpc::ToTimestamp(clock_.Now());
  *beat.add_orders() = update;
  v1::HeartbeatRequest of_another = beat;
  of_another.set_node("nas1");
  ASSERT_OK(controller::RecordBeat(*em_, "nas1", "10.0.0.2", of_another));
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::FAILED) << "not its order";
  v1::HeartbeatRequest of_a_thief = beat;
  *of_a_thief.mutable_orders(0)->mutable_backup()->mutable_receipt() =
      ReceiptFor(stored, "db", {}, "n1");
  ASSERT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", of_a_thief));
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::FAILED) << "not the vault's word";
  ASSERT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", beat));
  EXPECT_EQ(Shown(id).outcome(), v1::Outcome::OK);
  EXPECT_TRUE(Shown(id).verified());
  EXPECT_THAT(GoodIds(), ElementsAre(id));
}

// A stolen certificate says what it likes; what is stored, and since when, is the vault's to say.
TEST_F(BackupRun, WithoutTheVaultsWordNothingIsStored) {
  const auto year_ahead = rpc::ToTimestamp(clock_.Now() + absl::Hours(24 * 365));
  struct Lie {
    const char* what;
    std::function<void(v1::Receipt&)> change;
    std::string signer;
  };
  for (const Lie& lie : {
           Lie{"nothing at all", {}, ""},
           Lie{"signed by itself", {}, "n1"},
           Lie{"of an earlier backup",
               [](auto& receipt) { receipt.set_backup_id("db/20200101-000000"); }, "nas1"},
           Lie{"of another domain", [](auto& receipt) { receipt.set_domain_id("node-nas1"); },
               "nas1"},
           Lie{"of another workload", [](auto& receipt) { receipt.set_workload("web"); }, "nas1"},
       }) {
    SCOPED_TRACE(lie.what);
    clock_.Advance(absl::Minutes(1));
    Ask();
    const std::string id = Order().backup().backup_id();
    v1::OrderUpdate update = Stored(v1::Outcome::OK, 7);
    v1::Signed& receipt = *update.mutable_backup()->mutable_receipt();
    if (!lie.signer.empty())
      receipt = ReceiptFor(Order().backup(), Order().workload(), lie.change, lie.signer);
    Answer(update);
    EXPECT_EQ(Runs().back().run().outcome(), v1::Outcome::FAILED);
    EXPECT_THAT(Runs().back().run().error(), HasSubstr("node n1 says"));
    EXPECT_EQ(Shown(id).outcome(), v1::Outcome::FAILED);
    EXPECT_THAT(GoodIds(), IsEmpty());
    EXPECT_EQ(LastGood(), "");
  }
  // The genuine one with another time in it.
  clock_.Advance(absl::Minutes(1));
  Ask();
  v1::OrderUpdate update = Stored(v1::Outcome::OK, 7);
  v1::Signed& receipt = *update.mutable_backup()->mutable_receipt();
  receipt = ReceiptFor(Order().backup(), Order().workload());
  v1::Receipt moved;
  ASSERT_TRUE(moved.ParseFromString(receipt.statement()));
  *moved.mutable_received() = year_ahead;
  receipt.set_statement(moved.SerializeAsString());
  Answer(update);
  EXPECT_THAT(GoodIds(), IsEmpty());
}

TEST_F(BackupRun, IsGrantedToItsNodeAndVault) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Ask();
  v1::Grant needed;
  needed.set_node("n1");
  needed.set_workload("db");
  needed.set_epoch(Order().epoch());
  needed.set_vault(Order().backup().vault().name());
  needed.set_backup_id(Order().backup().backup_id());
  EXPECT_OK(rpc::CheckGrant(em_->keys->ca_pem(), Order().backup().grant(), needed));
}

TEST_F(BackupRun, OnlyWhatTouchesTheDataWaitsForARecovery) {
  Ask();
  Answer(Stored(v1::Outcome::OK, 7));
  const std::string id = GoodIds()[0];
  rec::RecoveryRecord recovery;
  recovery.mutable_recovery()->set_id("r-1");
  recovery.mutable_recovery()->set_workload("db");
  recovery.mutable_recovery()->set_state(v1::RecoveryState::APPROVAL);
  Put(recovery);
  clock_.Advance(absl::Minutes(1));
  Ask();
  EXPECT_EQ(Runs().back().run().error(), "waits for the end of recovery r-1");
  EXPECT_EQ(Runs().back().run().outcome(), v1::Outcome::PENDING);
  rec::RunRecord comparison = controller::NewRun(*em_, "restore", "db");
  comparison.mutable_run()->set_backup_id(id);
  comparison.mutable_restore_request()->set_dry_run(true);
  Put(comparison);
  Tick();
  EXPECT_EQ(Order().restore().backup_id(), id);
}

TEST_F(BackupRun, ACopyOfTheLossIsNoGoodBackup) {
  Ask();
  const std::string good = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7));
  clock_.Advance(absl::Minutes(1));
  Ask();
  Answer(Stored(v1::Outcome::OK, 0));
  EXPECT_EQ(Runs().back().run().outcome(), v1::Outcome::PARTIAL);
  EXPECT_THAT(Runs().back().run().problems(0).problem(),
              HasSubstr(absl::StrCat("every file is gone since ", good)));
  EXPECT_THAT(GoodIds(), ElementsAre(good));
}

TEST_F(BackupRun, AFailedBackupIsAnAlarmUntilOneSucceeds) {
  Ask();
  Answer(Failed(Code::kInvalidArgument));
  EXPECT_THAT(Alarms(), ElementsAre(HasSubstr("db: its last backup failed: the cause")));
  clock_.Advance(absl::Minutes(1));
  Ask();
  EXPECT_EQ(Alarms().size(), 1u) << "it has only begun";
  Answer(Stored(v1::Outcome::OK, 7));
  EXPECT_THAT(Alarms(), IsEmpty());
}

TEST_F(BackupRun, AWorkloadWithoutAGoodBackupIsAnAlarmWithoutAnRpoToo) {
  EXPECT_THAT(Alarms(), ElementsAre(HasSubstr("no backup that is whole and verified")));
  Ask();
  Answer(Stored(v1::Outcome::PARTIAL, 7));
  EXPECT_THAT(Alarms(), ElementsAre(HasSubstr("no backup that is whole and verified")));
  clock_.Advance(absl::Minutes(1));
  Ask();
  Answer(Stored(v1::Outcome::OK, 7));
  EXPECT_THAT(Alarms(), IsEmpty());
}

TEST_F(BackupRun, DamageOfTheNewestBackupIsAnAlarm) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7));
  AskVerify(id);
  Answer(Failed(Code::kDataLoss));
  EXPECT_THAT(Alarms(), ElementsAre(HasSubstr(absl::StrCat("newest backup ", id, " is damaged"))));
}

TEST_F(BackupRun, TheLongestHoldOfItsPoliciesIsGrantedAndKept) {
  AddPolicy("daily", "daily", "near");
  AddPolicy("weekly", "weekly", "near");
  estate_.mutable_estate()->mutable_policies(0)->set_hold_seconds(100);
  estate_.mutable_estate()->mutable_policies(1)->set_hold_seconds(7 * 86400);
  Put(estate_);
  Hear();
  Ask();
  v1::Grant grant;
  ASSERT_TRUE(grant.ParseFromString(Order().backup().grant().statement()));
  EXPECT_EQ(grant.hold_seconds(), 7 * 86400);
  v1::OrderUpdate held = Stored(v1::Outcome::OK, 7);
  *held.mutable_backup()->mutable_receipt() =
      ReceiptFor(Order().backup(), "db", [&](v1::Receipt& receipt) {
        *receipt.mutable_held_until() = rpc::ToTimestamp(clock_.Now() + absl::Hours(1));
      });
  const std::string id = Order().backup().backup_id();
  Answer(held);
  clock_.Advance(absl::Minutes(1));
  Ask();
  Answer(Stored(v1::Outcome::OK, 7));
  const auto may_delete = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return controller::CheckDeletable(*em_, em_->catalog->backups().at(id));
  };
  EXPECT_THAT(may_delete(), HasCodeAndText(Code::kFailedPrecondition, "hold"));
  clock_.Advance(absl::Hours(1));
  EXPECT_OK(may_delete());
}

TEST_F(BackupRun, EachVerificationIsOfTheBackupThatWasVerifiedLongestAgo) {
  AddPolicy("daily", "*-*-* 00:00", "near");
  std::vector<std::string> ids;
  for (int n = 0; n < 3; ++n) {
    Ask();
    ids.push_back(Order().backup().backup_id());
    Answer(Stored(v1::Outcome::OK, 7));
    clock_.Advance(absl::Minutes(1));
  }
  estate_.mutable_estate()->mutable_policies(0)->set_verify_every_seconds(3600);
  estate_.mutable_estate()->mutable_policies(0)->set_verify_sample_percent(20);
  Put(estate_);
  Hear();
  Tick();  // it counts from the first look
  for (int turn = 0; turn < 4; ++turn) {
    clock_.Advance(absl::Minutes(59));
    Tick();
    EXPECT_EQ(OpenRuns(), 0u);
    clock_.Advance(absl::Minutes(1));
    Tick();
    Tick();
    ASSERT_EQ(OpenRuns(), 1u);
    EXPECT_EQ(Order().verify().backup_id(), ids[turn % 3]);
    EXPECT_EQ(Order().verify().sample_percent(), 20);
    Answer(Verified());
  }
}

TEST_F(BackupRun, AScheduledVerificationWaitsForItsVaultAndTouchesNoReservedBackup) {
  AddPolicy("daily", "*-*-* 00:00", "near");
  estate_.mutable_estate()->mutable_policies(0)->set_verify_every_seconds(3600);
  Put(estate_);
  Hear();
  Ask();
  Answer(Stored(v1::Outcome::OK, 7));
  Tick();
  const int reserved = Offline().items_size();
  SetNode("nas1", v1::NodeState::UNREACHABLE);
  clock_.Advance(absl::Hours(1));
  Tick();
  EXPECT_EQ(OpenRuns(), 1u) << "it waits";
  SetNode("nas1", v1::NodeState::ALIVE);
  Tick();
  EXPECT_TRUE(Order().has_verify());
  EXPECT_EQ(Offline().items_size(), reserved);
}

TEST_F(BackupRun, AllThatAVerificationFoundIsShown) {
  Ask();
  const std::string id = Order().backup().backup_id();
  Answer(Stored(v1::Outcome::OK, 7));
  AskVerify(id);
  v1::OrderUpdate damage = Failed(Code::kDataLoss);
  damage.mutable_verify()->add_damaged()->set_path("srv/a");
  damage.mutable_verify()->add_damaged()->set_path("srv/b");
  damage.mutable_verify()->set_damaged_total(7);
  Answer(damage);
  const v1::Run run = Runs().back().run();
  EXPECT_EQ(run.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(run.problems_size(), 2);
  EXPECT_EQ(run.problems_total(), 7);
  EXPECT_THAT(GoodIds(), IsEmpty());
}

TEST_F(BackupRun, AComparisonReadsBothWhereTheyAre) {
  std::vector<std::string> ids;
  for (int n = 0; n < 2; ++n) {
    Ask();
    ids.push_back(Order().backup().backup_id());
    Answer(Stored(v1::Outcome::OK, 7));
    clock_.Advance(absl::Minutes(1));
  }
  rec::RunRecord diff = controller::NewRun(*em_, "diff", "db");
  diff.mutable_run()->set_backup_id(ids[0]);
  diff.mutable_diff_request()->set_other(ids[1]);
  diff.mutable_diff_request()->set_path("/srv");
  Put(diff);
  Tick();
  const v1::DiffOrder order = Order().diff();
  EXPECT_EQ(order.backup_id(), ids[0]);
  EXPECT_EQ(order.other_id(), ids[1]);
  EXPECT_EQ(order.path(), "/srv");
  EXPECT_FALSE(order.vault().read_grant().statement().empty());
  EXPECT_FALSE(order.other_vault().read_grant().statement().empty());
  v1::OrderUpdate done;
  done.set_state(v1::OrderUpdate::DONE);
  done.mutable_diff()->add_items()->set_change("added");
  Answer(done);
  EXPECT_EQ(Runs().back().run().diff().items_size(), 1);
}

TEST_F(BackupRun, AScheduleStartsOneRunForEachDueTime) {
  AddPolicy("hourly", "hourly", "far");
  EXPECT_THAT(Runs(), IsEmpty());
  for (size_t hour = 1; hour <= 3; ++hour) {
    clock_.Advance(absl::Hours(1));
    for (int n = 0; n < 3; ++n) Tick();
    ASSERT_EQ(Runs().size(), hour);
    EXPECT_EQ(Order().backup().vault().name(), "far") << "the policy's vault";
    Answer(Stored(v1::Outcome::OK, 7));
  }
  EXPECT_EQ(GoodIds().size(), 3u);
}

TEST_F(BackupRun, WhatWasMissedIsMadeUpOnce) {
  AddPolicy("hourly", "hourly", "near");
  clock_.Advance(absl::Hours(30));
  Restart();
  Hear();
  for (int n = 0; n < 3; ++n) Tick();
  EXPECT_EQ(Runs().size(), 1u);
}

TEST_F(BackupRun, AnOpenRunIsNotDoubled) {
  AddPolicy("hourly", "hourly", "near");
  for (int hour = 0; hour < 4; ++hour) {
    clock_.Advance(absl::Hours(1));
    Tick();
  }
  EXPECT_EQ(Runs().size(), 1u) << "it has not ended yet";
}

TEST_F(BackupRun, AClockThatWentBackRepeatsNothing) {
  AddPolicy("hourly", "hourly", "near");
  clock_.Advance(absl::Hours(1));
  Tick();
  Answer(Stored(v1::Outcome::OK, 7));
  clock_.JumpWall(-absl::Hours(24));
  for (int n = 0; n < 3; ++n) Tick();
  EXPECT_EQ(Runs().size(), 1u);
  clock_.Advance(absl::Hours(1));
  Tick();
  EXPECT_EQ(Runs().size(), 2u) << "and goes on from there";
}

TEST_F(BackupRun, AScheduledRunWaitsForItsNode) {
  AddPolicy("hourly", "hourly", "near");
  SetNode("n1", v1::NodeState::DEAD);
  clock_.Advance(absl::Hours(1));
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::PENDING);
  EXPECT_THAT(Only().error(), HasSubstr("n1 is DEAD"));
  SetNode("n1", v1::NodeState::ALIVE);
  Tick();
  EXPECT_EQ(Order().backup().backup_id(), Only().backup_id());
}

TEST_F(BackupRun, ATimeOfDayIsMeantInThePolicysZone) {
  AddPolicy("daily", "*-*-* 07:00", "near", "Pacific/Auckland");
  absl::TimeZone zone;
  ASSERT_TRUE(absl::LoadTimeZone("Pacific/Auckland", &zone));
  for (int hour = 0; hour < 24 && Runs().empty(); ++hour) {
    clock_.Advance(absl::Hours(1));
    Tick();
  }
  ASSERT_EQ(Runs().size(), 1u);
  EXPECT_EQ(absl::ToCivilHour(clock_.Now(), zone).hour(), 7);
}

}  // namespace
}  // namespace ember::testing
