#include "controller/protect/vault_jobs.h"

#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_catalog.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ember::testing::HasCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;

std::string Why(const absl::StatusOr<rec::RunRecord>& refused) {
  return std::string(refused.status().message());
}

// Vault "nas" on the live node nas1; workload "db" with the good backups db/1, db/2, db/3, newest
// last. Like everything that decides, used under the lock; the test has one thread.
class VaultJobs : public ::testing::Test {
 protected:
  VaultJobs() ABSL_NO_THREAD_SAFETY_ANALYSIS
      : em_(&clock_, std::make_unique<testing::MemoryCatalog>(&disk_), KeyVault::InMemory()) {
    em_.mu.Lock();
    Batch batch;
    rec::EstateRecord estate;
    v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
    vault->set_name("nas");
    vault->set_node("nas1");
    vault->set_trash_seconds(3600);
    estate.mutable_estate()->add_workloads()->set_name("db");
    batch.Put(estate);
    rec::NodeRecord node;
    node.set_name("nas1");
    node.set_state(v1::NodeState::ALIVE);
    batch.Put(node);
    EXPECT_OK(em_.Commit(batch));
    em_.board.nodes["nas1"].address = "nas1:7444";
    for (int n = 1; n <= 3; ++n) AddBackup(absl::StrCat("db/", n));
  }
  ~VaultJobs() override ABSL_NO_THREAD_SAFETY_ANALYSIS { em_.mu.Unlock(); }

  void AddBackup(const std::string& id) {
    clock_.Advance(absl::Minutes(1));
    rec::BackupRecord record;
    v1::Backup& backup = *record.mutable_backup();
    backup.set_id(id);
    backup.set_workload("db");
    backup.set_outcome(v1::Outcome::OK);
    backup.set_verified(true);
    backup.set_files(7);
    *backup.mutable_created() = rpc::ToTimestamp(clock_.Now());
    *record.mutable_vault_received() = backup.created();
    record.set_vault("nas");
    Write(record);
  }
  void Write(Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Batch batch;
    batch.Put(std::move(record));
    EXPECT_OK(em_.Commit(batch));
  }
  void Advance() ABSL_NO_THREAD_SAFETY_ANALYSIS { EXPECT_OK(AdvanceRuns(em_)); }
  rec::BackupRecord RecordOf(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->backups().at(id);
  }
  rec::RunRecord NewRunOf(const std::string& kind) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return NewRun(em_, kind, "db");
  }
  std::string Latest() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return (*ResolveBackup(em_, "db@latest"))->backup().id();
  }
  void Change(const std::string& id, const std::function<void(rec::BackupRecord&)>& edit) {
    rec::BackupRecord record = RecordOf(id);
    edit(record);
    Write(record);
  }
  bool Exists(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->backups().count(id) > 0;
  }
  v1::Backup Of(const std::string& id) { return RecordOf(id).backup(); }
  std::vector<std::string> Good() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const rec::BackupRecord* backup : GoodBackups(em_, "db"))
      ids.push_back(backup->backup().id());
    return ids;
  }

  absl::StatusOr<rec::RunRecord> AskDelete(const std::string& id,
                                           bool confirmed = true) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::DeleteBackupRequest request;
    request.set_id(id);
    request.set_why("too old");
    request.set_confirmed(confirmed);
    return WishDelete(em_, "anna", request);
  }
  absl::StatusOr<rec::RunRecord> AskUndelete(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return WishUndelete(em_, "anna", id);
  }
  absl::StatusOr<rec::RunRecord> AskJob(const v1::VaultJobRequest& request)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return WishVaultJob(em_, "anna", request);
  }
  static v1::VaultJobRequest Job(const std::string& job) {
    v1::VaultJobRequest request;
    request.set_vault("nas");
    request.set_job(job);
    return request;
  }

  // Writes the wish and lets the runs advance; the run's id.
  std::string Begin(const absl::StatusOr<rec::RunRecord>& wish) {
    EXPECT_OK(wish);
    if (!wish.ok()) return "";
    Write(*wish);
    Advance();
    return wish->run().id();
  }
  v1::Run Run(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->runs().at(id).run();
  }
  // The order that the run sent; one without an id when it sent none.
  v1::Order OrderOf(const std::string& run) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto order = em_.catalog->orders().find(em_.catalog->runs().at(run).order_id());
    return order == em_.catalog->orders().end() ? v1::Order() : order->second.order();
  }
  void Answer(const std::string& run,
              const v1::OrderUpdate& update) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::OrderRecord order = em_.catalog->orders().at(em_.catalog->runs().at(run).order_id());
    order.set_finished(true);
    *order.mutable_last_update() = update;
    Write(order);
    Advance();
  }
  void Done(const std::string& run, const v1::VaultResult& result = v1::VaultResult()) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    *update.mutable_vault() = result;
    Answer(run, update);
  }
  void Failed(const std::string& run, Code code) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int>(code));
    update.set_error("the engine says no");
    Answer(run, update);
  }
  void AddDue() ABSL_NO_THREAD_SAFETY_ANALYSIS { EXPECT_OK(AddDueVaultJobs(em_)); }
  void EditVault(const std::function<void(v1::VaultSpec&)>& edit) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate = em_.catalog->estate();
    edit(*estate.mutable_estate()->mutable_vaults(0));
    Write(estate);
  }
  rec::VaultRecord Vault() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = em_.catalog->vaults().find("nas");
    return found == em_.catalog->vaults().end() ? rec::VaultRecord() : found->second;
  }
  // The kinds of the open jobs, oldest first.
  std::vector<std::string> OpenJobs() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> kinds;
    for (const auto& [id, run] : em_.catalog->runs())
      if (IsOpenRun(run)) kinds.push_back(run.run().kind());
    return kinds;
  }
  std::string FirstOpenJob() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const auto& [id, run] : em_.catalog->runs())
      if (IsOpenRun(run)) return id;
    return "";
  }
  // Events of the type, as "subject: message".
  std::vector<std::string> Events(const std::string& type) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> found;
    EXPECT_OK(em_.catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
      if (event.event().type() == type)
        found.push_back(absl::StrCat(event.event().subject(), ": ", event.event().message()));
      return true;
    }));
    return found;
  }

  testing::FakeClock clock_;
  testing::MemoryDisk disk_;
  EmState em_;
};

TEST_F(VaultJobs, DeletingNeedsAConfirmationThatSaysWhatIsLost) {
  const auto asked = AskDelete("db/1", false);
  EXPECT_THAT(asked, HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(asked), HasSubstr("db/1 (7 files"));
  EXPECT_THAT(Why(asked), HasSubstr("vault 'nas' for 1h"));
  EXPECT_THAT(Why(asked), HasSubstr("2 other good backups of 'db' stay"));
  EXPECT_THAT(AskDelete("db/9"), HasCode(Code::kNotFound));
}

TEST_F(VaultJobs, WhatMustNotGoIsRefused) {
  const std::pair<const char*, std::function<void(rec::BackupRecord&)>> rows[] = {
      {"it is pinned", [](rec::BackupRecord& r) { r.mutable_backup()->set_pinned(true); }},
      {"never completed",
       [](rec::BackupRecord& r) { r.mutable_backup()->set_outcome(v1::Outcome::RUNNING); }},
      {"never completed",
       [](rec::BackupRecord& r) { r.mutable_backup()->set_outcome(v1::Outcome::FAILED); }},
      {"in the trash already", [](rec::BackupRecord& r) { r.mutable_backup()->set_trashed(true); }},
  };
  const rec::BackupRecord before = RecordOf("db/1");
  for (const auto& [why, edit] : rows) {
    Change("db/1", edit);
    EXPECT_THAT(AskDelete("db/1"), HasCode(Code::kFailedPrecondition));
    EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr(why));
    Change("db/1", [&](rec::BackupRecord& r) { r = before; });
  }
  EXPECT_THAT(Why(AskDelete("db/3")), HasSubstr("newest good backup of 'db'"));
  // The newest good one is the one before, once the newest is known to be damaged.
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  EXPECT_OK(AskDelete("db/3"));
  EXPECT_THAT(AskDelete("db/2"), HasCode(Code::kFailedPrecondition));
}

TEST_F(VaultJobs, WhenNoBackupIsGoodTheDoubtfulOnesStay) {
  for (const char* id : {"db/1", "db/2", "db/3"})
    Change(id, [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  EXPECT_THAT(AskDelete("db/1"), HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr("no backup of 'db' is good"));
}

TEST_F(VaultJobs, ABackupInUseIsNotDeleted) {
  rec::RunRecord restore = NewRunOf("restore");
  restore.mutable_run()->set_backup_id("db/1");
  Write(restore);
  EXPECT_THAT(Why(AskDelete("db/1")), HasSubstr(restore.run().id()));
  EXPECT_OK(AskDelete("db/2"));
}

TEST_F(VaultJobs, ADeletedBackupIsNotGoodFromTheMomentItMayBeGone) {
  const std::string run = Begin(AskDelete("db/2"));
  const v1::DeleteBackupsJob job = OrderOf(run).vault().delete_();
  EXPECT_THAT(job.backup_ids(), ElementsAre("db/2"));
  EXPECT_TRUE(job.by_person());
  EXPECT_EQ(job.who(), "anna");
  EXPECT_EQ(job.why(), "too old");
  EXPECT_EQ(OrderOf(run).workload(), "") << "no placement is concerned";
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/1"));
  Done(run);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::OK);
  EXPECT_TRUE(Of("db/2").trashed());
  EXPECT_EQ(rpc::FromTimestamp(Of("db/2").trashed_until()), clock_.Now() + absl::Hours(1));
  EXPECT_THAT(Events("delete.ok"), ElementsAre("db/2: deleted by anna: too old"));
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_trashed(true); });
  EXPECT_EQ(Latest(), "db/1");
}

TEST_F(VaultJobs, ADeletionThatTheVaultRefusesLeavesTheBackup) {
  const std::string run = Begin(AskDelete("db/2"));
  Failed(run, Code::kFailedPrecondition);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Run(run).error(), "the engine says no");
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
}

TEST_F(VaultJobs, ADeletionThatTheVaultDoesNotKnowLeavesNoGoodBackup) {
  Failed(Begin(AskDelete("db/2")), Code::kNotFound);
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Of("db/2").error(), HasSubstr("does not hold it"));
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/1"));
}

TEST_F(VaultJobs, ADeletionOfUnknownResultCountsAsDone) {
  const std::string run = Begin(AskDelete("db/2"));
  Failed(run, Code::kUnavailable);
  EXPECT_TRUE(Of("db/2").trashed());
  const std::string other = Begin(AskDelete("db/1"));
  rec::NodeRecord node;
  node.set_name("nas1");
  node.set_state(v1::NodeState::DEAD);
  Write(node);
  Advance();
  EXPECT_EQ(Run(other).outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(Good(), ElementsAre("db/3"));
}

TEST_F(VaultJobs, WhatBecameTheNewestGoodBackupMeanwhileIsNotDeleted) {
  const std::string gc = Begin(AskJob(Job("gc")));
  const std::string waiting = Begin(AskDelete("db/2"));
  EXPECT_EQ(OrderOf(waiting).id(), "") << "one job of a vault at a time";
  Change("db/3", [](rec::BackupRecord& r) { r.mutable_backup()->set_verified(false); });
  Done(gc);
  Advance();
  EXPECT_EQ(Run(waiting).outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(Run(waiting).error(), HasSubstr("newest good backup"));
  EXPECT_FALSE(Of("db/2").trashed());
}

TEST_F(VaultJobs, ACollectionPutsRightWhatLostAnswersLeft) {
  for (const char* id : {"db/1", "db/2"}) Failed(Begin(AskDelete(id)), Code::kUnavailable);
  const std::string run = Begin(AskJob(Job("gc")));
  EXPECT_THAT(OrderOf(run).vault().gc().trashed(), ElementsAre("db/1", "db/2"));
  v1::VaultResult result;
  result.add_backups("db/1");  // purged by a collection whose answer was lost
  result.add_not_deleted("db/2");
  Done(run, result);
  EXPECT_FALSE(Exists("db/1"));
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2"));
  EXPECT_THAT(Events("backup.not_deleted"), ElementsAre(HasSubstr("db/2: ")));
}

TEST_F(VaultJobs, UndeletingMakesItGoodAgain) {
  EXPECT_THAT(AskUndelete("db/2"), HasCode(Code::kFailedPrecondition));
  Done(Begin(AskDelete("db/2")));
  const std::string run = Begin(AskUndelete("db/2"));
  EXPECT_THAT(OrderOf(run).vault().undelete().backup_ids(), ElementsAre("db/2"));
  EXPECT_TRUE(Of("db/2").trashed()) << "until the vault says so";
  Done(run);
  EXPECT_FALSE(Of("db/2").trashed());
  EXPECT_FALSE(Of("db/2").has_trashed_until());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
}

TEST_F(VaultJobs, ABackupIsForgottenWhenTheVaultSaysThatItIsGone) {
  Done(Begin(AskDelete("db/2")));
  v1::VaultJobRequest empty = Job("gc");
  empty.set_empty_trash(true);
  EXPECT_THAT(AskJob(empty), HasCode(Code::kFailedPrecondition));
  EXPECT_THAT(Why(AskJob(empty)), HasSubstr("db/2"));
  empty.set_confirmed(true);
  const std::string failed = Begin(AskJob(empty));
  EXPECT_TRUE(OrderOf(failed).vault().gc().empty_trash());
  Failed(failed, Code::kResourceExhausted);
  EXPECT_TRUE(Exists("db/2"));
  const std::string run = Begin(AskJob(empty));
  v1::VaultResult result;
  result.add_backups("db/2");
  result.set_bytes_freed(4096);
  Done(run, result);
  EXPECT_FALSE(Exists("db/2"));
  EXPECT_EQ(Run(run).vault_result().bytes_freed(), 4096);
  EXPECT_THAT(Events("backup.purged"), ElementsAre(HasSubstr("db/2: ")));
}

TEST_F(VaultJobs, ACheckThatPassesRaisesTheLevelOfWhatItCovered) {
  const std::string quick = Begin(AskJob(Job("check")));
  EXPECT_FALSE(OrderOf(quick).vault().check().read_data());
  Done(quick);
  EXPECT_EQ(Of("db/1").verified_level(), "L0");
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  full.set_repair(true);
  const std::string run = Begin(AskJob(full));
  EXPECT_TRUE(OrderOf(run).vault().check().read_data());
  EXPECT_TRUE(OrderOf(run).vault().check().repair());
  // Made while the check was under way: it may have been overlooked.
  clock_.Advance(absl::Minutes(1));
  rec::RunRecord backup_run = NewRunOf("backup");
  backup_run.mutable_run()->set_outcome(v1::Outcome::OK);
  *backup_run.mutable_run()->mutable_ended() = rpc::ToTimestamp(clock_.Now());
  Write(backup_run);
  AddBackup("db/4");
  Change("db/4", [&](rec::BackupRecord& r) { r.set_run_id(backup_run.run().id()); });
  Done(run);
  EXPECT_EQ(Of("db/1").verified_level(), "L1");
  EXPECT_EQ(Of("db/4").verified_level(), "");
  Done(Begin(AskJob(Job("check"))));
  EXPECT_EQ(Of("db/1").verified_level(), "L1") << "a lesser check takes nothing back";
}

TEST_F(VaultJobs, ADamagedBackupIsNotGoodAndSaidOnce) {
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  v1::VaultResult damage;
  damage.set_records_damaged(2);
  damage.add_damaged_backups("db/3");
  for (int i = 0; i < 2; ++i) {
    const std::string run = Begin(AskJob(full));
    Done(run, damage);
    EXPECT_EQ(Run(run).outcome(), v1::Outcome::FAILED);
    EXPECT_EQ(Run(run).code(), static_cast<int>(Code::kDataLoss));
    EXPECT_EQ(Run(run).error(), "vault 'nas' is damaged: 2 damaged records; needed by db/3");
    EXPECT_EQ(Run(run).vault_result().records_damaged(), 2);
  }
  EXPECT_FALSE(Of("db/3").verified());
  EXPECT_EQ(Of("db/3").verified_level(), "");
  EXPECT_THAT(Of("db/3").error(), HasSubstr("vault 'nas'"));
  EXPECT_EQ(Of("db/2").verified_level(), "L1");
  EXPECT_THAT(Good(), ElementsAre("db/2", "db/1"));
  EXPECT_THAT(Events("backup.damaged"), ElementsAre(HasSubstr("db/3: ")));
  Done(Begin(AskJob(full)));
  EXPECT_FALSE(Of("db/3").verified()) << "only a verification with the keys makes it good again";
}

TEST_F(VaultJobs, WhatIsNoJobIsRefused) {
  EXPECT_THAT(AskJob(Job("defragment")), HasCode(Code::kInvalidArgument));
  v1::VaultJobRequest request = Job("gc");
  request.set_repair(true);
  EXPECT_THAT(AskJob(request), HasCode(Code::kInvalidArgument));
  request = Job("check");
  request.set_empty_trash(true);
  EXPECT_THAT(AskJob(request), HasCode(Code::kInvalidArgument));
  request = Job("check");
  request.set_vault("usb");
  EXPECT_THAT(AskJob(request), HasCode(Code::kNotFound));
  EXPECT_THAT(Events("gc.asked"), IsEmpty());
}

TEST_F(VaultJobs, TheLastJobsAreRememberedWhateverTheirOutcome) {
  v1::VaultResult freed;
  freed.set_bytes_freed(4096);
  Done(Begin(AskJob(Job("gc"))), freed);
  const absl::Time collected = clock_.Now();
  v1::VaultJobRequest full = Job("check");
  full.set_read_data(true);
  v1::VaultResult damage;
  damage.set_records_damaged(2);
  Done(Begin(AskJob(full)), damage);
  EXPECT_EQ(rpc::FromTimestamp(Vault().last_gc().time()), collected);
  EXPECT_EQ(Vault().last_gc().outcome(), v1::Outcome::OK);
  EXPECT_EQ(Vault().last_gc().bytes_freed(), 4096);
  EXPECT_EQ(Vault().last_check().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Vault().last_check().level(), "L1");
  EXPECT_EQ(Vault().last_check().records_damaged(), 2);
  EXPECT_THAT(Vault().last_check().error(), HasSubstr("2 damaged records"));
  Failed(Begin(AskJob(Job("gc"))), Code::kResourceExhausted);
  EXPECT_EQ(Vault().last_gc().outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(Vault().last_gc().bytes_freed(), 0);
}

TEST_F(VaultJobs, CollectionAndCheckComeBySchedule) {
  EditVault([](v1::VaultSpec& vault) {
    vault.set_gc_every_seconds(3600);
    vault.set_check_every_seconds(7200);
  });
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty()) << "it counts from now";
  clock_.Advance(absl::Minutes(61));
  AddDue();
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("gc"));
  clock_.Advance(absl::Minutes(60));
  AddDue();
  EXPECT_THAT(OpenJobs(), UnorderedElementsAre("gc", "check")) << "one of a kind";
  Advance();
  EXPECT_TRUE(OrderOf(FirstOpenJob()).has_vault());
}

TEST_F(VaultJobs, AScheduledJobWaitsForItsNode) {
  EditVault([](v1::VaultSpec& vault) { vault.set_check_every_seconds(3600); });
  AddDue();
  clock_.Advance(absl::Hours(2));
  AddDue();
  rec::NodeRecord node;
  node.set_name("nas1");
  node.set_state(v1::NodeState::UNREACHABLE);
  Write(node);
  Advance();
  EXPECT_EQ(Run(FirstOpenJob()).outcome(), v1::Outcome::PENDING);
  EXPECT_THAT(Run(FirstOpenJob()).error(), HasSubstr("not ALIVE"));
  node.set_state(v1::NodeState::ALIVE);
  Write(node);
  Advance();
  EXPECT_TRUE(OrderOf(FirstOpenJob()).vault().check().read_data());
}

TEST_F(VaultJobs, WhatWasDeletedGoesWithoutASchedule) {
  AddDue();
  Done(Begin(AskDelete("db/1")));
  clock_.Advance(absl::Minutes(59));
  AddDue();
  EXPECT_THAT(OpenJobs(), IsEmpty());
  clock_.Advance(absl::Minutes(2));
  AddDue();
  ASSERT_THAT(OpenJobs(), ElementsAre("gc"));
  Advance();
  EXPECT_FALSE(OrderOf(FirstOpenJob()).vault().gc().empty_trash());
}

TEST_F(VaultJobs, AVaultThatLeavesTheEstateIsForgotten) {
  AddDue();
  EXPECT_EQ(Vault().name(), "nas");
  Write(rec::EstateRecord());
  AddDue();
  EXPECT_EQ(Vault().name(), "");
}

TEST_F(VaultJobs, TheIndexIsMadeAnewByAnOrderOfItsOwn) {
  const std::string run = Begin(AskJob(Job("rebuild-index")));
  EXPECT_TRUE(OrderOf(run).vault().has_rebuild_index());
  EXPECT_EQ(OrderOf(run).id(), absl::StrCat(run, "/nas/rebuild-index/1"));
  Done(run);
  EXPECT_EQ(Run(run).outcome(), v1::Outcome::OK);
}

}  // namespace
}  // namespace ember::controller
