// A backup from its due time to its end: schedules, attempts, reading back what was stored, alarms.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/convert.h"
#include "common/rpc/signed.h"
#include "controller/fleet/beats.h"
#include "controller/protect/runs.h"
#include "controller/service/views.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One thread, so the state's lock orders nothing here.
class BackupRun : public EmFixture {
 protected:
  BackupRun() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AddNode("n1");
    AddNode("nas1");
    v1::WorkloadSpec& spec = *estate_.mutable_estate()->add_workloads();
    spec.set_name("db");
    spec.set_node("n1");
    spec.add_sources()->mutable_files()->add_paths("/srv/db");
    for (const char* name : {"near", "far"}) {
      v1::VaultSpec& vault = *estate_.mutable_estate()->add_vaults();
      vault.set_name(name);
      vault.set_node("nas1");
    }
    Put(estate_);
    rec::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    Put(workload);
    Hear();
  }
  // Every node is there and knows its configuration.
  void Hear() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const char* node : {"n1", "nas1"}) {
      em_->board.nodes[node].address = "10.0.0.1:7444";
      em_->board.nodes[node].config_version = controller::ConfigFor(*em_, node).version();
    }
  }
  void Put(controller::Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(std::move(record));
    ASSERT_OK(em_->Commit(batch));
  }
  void SetNode(const std::string& name, v1::NodeState::Value state) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::NodeRecord node = em_->catalog->nodes().at(name);
    node.set_state(state);
    Put(node);
  }
  void AddPolicy(const std::string& name, const std::string& schedule, const std::string& vault,
                 const std::string& timezone = "") {
    v1::PolicySpec& policy = *estate_.mutable_estate()->add_policies();
    policy.set_name(name);
    policy.set_schedule(schedule);
    policy.set_timezone(timezone);
    policy.add_vaults(vault);
    estate_.mutable_estate()->mutable_workloads(0)->add_policies(name);
    Put(estate_);
    Hear();
    Tick();  // the schedule counts from now
  }
  void Tick() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    ASSERT_OK(controller::AddDueRuns(*em_));
    ASSERT_OK(controller::AdvanceRuns(*em_));
  }

  std::vector<rec::RunRecord> Runs() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<rec::RunRecord> runs;
    for (const auto& [id, run] : em_->catalog->runs()) runs.push_back(run);
    return runs;
  }
  v1::Run Only() {
    EXPECT_EQ(Runs().size(), 1u);
    return Runs().empty() ? v1::Run() : Runs()[0].run();
  }
  void Ask() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Put(controller::NewRun(*em_, "backup", "db"));
    Tick();
  }
  // The one order that waits for an answer.
  v1::Order Order() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<v1::Order> open;
    for (const auto& [id, order] : em_->catalog->orders()) {
      if (!order.finished()) open.push_back(order.order());
    }
    EXPECT_EQ(open.size(), 1u);
    return open.empty() ? v1::Order() : open[0];
  }
  // As the host of the order's vault would sign it; `change` makes it say something else.
  v1::Signed ReceiptFor(const v1::BackupOrder& backup, const std::string& workload,
                        const std::function<void(v1::Receipt&)>& change = {},
                        const std::string& signer = "nas1") {
    v1::Receipt receipt;
    receipt.set_vault_id("disk");
    receipt.set_backup_id(backup.backup_id());
    receipt.set_domain_id(backup.domain().id());
    receipt.set_workload(workload);
    receipt.set_sequence(4);
    *receipt.mutable_received() = rpc::ToTimestamp(clock_.Now());
    if (change) change(receipt);
    v1::Signed signed_receipt;
    signed_receipt.set_statement(receipt.SerializeAsString());
    EXPECT_OK(rpc::SignReceipt(IdentityOf(signer), &signed_receipt));
    return signed_receipt;
  }
  rpc::Identity IdentityOf(const std::string& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rpc::Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.certificate_pem =
        *em_->keys->Sign(*CreateCsr(identity.key_pem), "agent", node, clock_.Now());
    return identity;
  }
  void Answer(v1::OrderUpdate update) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::OrderRecord order = em_->catalog->orders().at(Order().id());
    if (update.has_backup() && !update.backup().has_receipt())
      *update.mutable_backup()->mutable_receipt() =
          ReceiptFor(Order().backup(), Order().workload());
    *order.mutable_last_update() = std::move(update);
    order.set_finished(true);
    Put(order);
    Tick();
  }
  static v1::OrderUpdate Stored(v1::Outcome::Value outcome, int64_t files,
                                Code read_back = Code::kOk) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    v1::BackupResult& result = *update.mutable_backup();
    result.set_outcome(outcome);
    result.set_files(files);
    result.set_read_back_ok(read_back == Code::kOk);
    result.set_read_back_code(static_cast<int>(read_back));
    if (read_back != Code::kOk) result.set_read_back_error("the cause");
    return update;
  }
  static v1::OrderUpdate Failed(Code code) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int>(code));
    update.set_error("the cause");
    return update;
  }
  static v1::OrderUpdate Verified() {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    update.mutable_verify()->set_files(7);
    return update;
  }
  void WaitForRetry() {
    clock_.Advance(absl::Seconds(kBackupRetrySeconds * 4));
    Tick();
  }

  std::vector<std::string> GoodIds() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const rec::BackupRecord* good : controller::GoodBackups(*em_, "db"))
      ids.push_back(good->backup().id());
    return ids;
  }
  v1::Backup Shown(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->backups().at(id).backup();
  }
  // About the workload.
  std::vector<std::string> Alarms() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> alarms;
    const v1::StatusReply status = controller::StatusWire(*em_);
    for (const std::string& alarm : status.alarms()) {
      if (absl::StrContains(alarm, "workload db")) alarms.push_back(alarm);
    }
    return alarms;
  }
  std::string LastGood() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->workloads().at("db").last_good_backup();
  }

  rec::EstateRecord estate_;
};

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
  rec::RunRecord verify = controller::NewRun(*em_, "verify", "db");
  verify.mutable_run()->set_backup_id(id);
  Put(verify);
  Tick();
  Answer(Failed(Code::kDataLoss));
  EXPECT_THAT(Alarms(), ElementsAre(HasSubstr(absl::StrCat("newest backup ", id, " is damaged"))));
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
