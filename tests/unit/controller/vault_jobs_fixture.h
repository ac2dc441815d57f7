// A controller with one vault, one workload and three good backups, whose runs are asked for,
// answered and advanced by hand.
#ifndef EMBER_TESTS_UNIT_CONTROLLER_VAULT_JOBS_FIXTURE_H_
#define EMBER_TESTS_UNIT_CONTROLLER_VAULT_JOBS_FIXTURE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_catalog.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {

// Vault "nas" on the live node nas1; workload "db" with the good backups db/1, db/2, db/3, newest
// last. Like everything that decides, used under the lock; the test has one thread.
class VaultJobs : public ::testing::Test {
 protected:
  VaultJobs() ABSL_NO_THREAD_SAFETY_ANALYSIS
      : em_(&clock_, std::make_unique<testing::MemoryCatalog>(&disk_), KeyVault::InMemory()) {
    em_.mu.Lock();
    Batch batch;
    record::v1::EstateRecord estate;
    v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
    vault->set_name("nas");
    vault->set_node("nas1");
    vault->set_trash_seconds(3600);
    estate.mutable_estate()->add_workloads()->set_name("db");
    batch.Put(estate);
    record::v1::NodeRecord node;
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
    record::v1::BackupRecord record;
    v1::Backup& backup = *record.mutable_backup();
    backup.set_id(id);
    backup.set_workload("db");
    backup.set_outcome(v1::Outcome::OK);
    backup.set_verified(true);
    backup.set_files(7);
    *backup.mutable_created() = rpc::ToTimestamp(clock_.Now());
    *record.mutable_vault_received() = backup.created();
    record.set_vault("nas");
    backup.add_vaults("nas");
    Write(record);
  }
  void Write(Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Batch batch;
    batch.Put(std::move(record));
    EXPECT_OK(em_.Commit(batch));
  }
  void Advance() ABSL_NO_THREAD_SAFETY_ANALYSIS { EXPECT_OK(AdvanceRuns(em_)); }
  record::v1::BackupRecord RecordOf(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->backups().at(id);
  }
  record::v1::RunRecord NewRunOf(const std::string& kind) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return NewRun(em_, kind, "db");
  }
  std::string Latest() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return (*ResolveBackup(em_, "db@latest"))->backup().id();
  }
  void Change(const std::string& id, const std::function<void(record::v1::BackupRecord&)>& edit) {
    record::v1::BackupRecord record = RecordOf(id);
    edit(record);
    Write(record);
  }
  bool Exists(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_.catalog->backups().count(id) > 0;
  }
  v1::Backup Of(const std::string& id) { return RecordOf(id).backup(); }
  std::vector<std::string> Good() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    for (const record::v1::BackupRecord* backup : GoodBackups(em_, "db"))
      ids.push_back(backup->backup().id());
    return ids;
  }

  absl::StatusOr<record::v1::RunRecord> AskDelete(const std::string& id, bool confirmed = true)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::DeleteBackupRequest request;
    request.set_id(id);
    request.set_why("too old");
    request.set_confirmed(confirmed);
    return WishDelete(em_, "anna", request);
  }
  absl::StatusOr<record::v1::RunRecord> AskUndelete(const std::string& id)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return WishUndelete(em_, "anna", id);
  }
  absl::StatusOr<record::v1::RunRecord> AskJob(const v1::VaultJobRequest& request)
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
  std::string Begin(const absl::StatusOr<record::v1::RunRecord>& wish) {
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
    record::v1::OrderRecord order =
        em_.catalog->orders().at(em_.catalog->runs().at(run).order_id());
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
  void Failed(const std::string& run, absl::StatusCode code) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int>(code));
    update.set_error("the engine says no");
    Answer(run, update);
  }
  void AddDue() ABSL_NO_THREAD_SAFETY_ANALYSIS { EXPECT_OK(AddDueVaultJobs(em_)); }
  void EditVault(const std::function<void(v1::VaultSpec&)>& edit) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    record::v1::EstateRecord estate = em_.catalog->estate();
    edit(*estate.mutable_estate()->mutable_vaults(0));
    Write(estate);
  }
  record::v1::VaultRecord Vault() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = em_.catalog->vaults().find("nas");
    return found == em_.catalog->vaults().end() ? record::v1::VaultRecord() : found->second;
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
    EXPECT_OK(em_.catalog->ScanEvents(0, [&](const record::v1::EventRecord& event) {
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

}  // namespace ember::controller

#endif  // EMBER_TESTS_UNIT_CONTROLLER_VAULT_JOBS_FIXTURE_H_
