// A workload on one node, two vaults on another, and what agents answer about its backups.
#ifndef EMBER_TESTS_UNIT_CONTROLLER_BACKUP_RUN_FIXTURE_H_
#define EMBER_TESTS_UNIT_CONTROLLER_BACKUP_RUN_FIXTURE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/convert.h"
#include "common/rpc/signed.h"
#include "controller/fleet/beats.h"
#include "controller/protect/reserved_backups.h"
#include "controller/protect/runs.h"
#include "controller/service/views.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {

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
    record::v1::WorkloadRecord workload;
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
    record::v1::NodeRecord node = em_->catalog->nodes().at(name);
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
    estate_.set_version(estate_.version() + 1);
    Put(estate_);
    Hear();
    Tick();  // the schedule counts from now
  }
  void Tick() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    ASSERT_OK(controller::AddDueRuns(*em_));
    ASSERT_OK(controller::ReserveBackups(*em_));
    ASSERT_OK(controller::AdvanceRuns(*em_));
  }
  // What the agent of n1 is told of db for a time without a controller.
  v1::OfflineBackups Offline() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    record::v1::NodeRecord nas = em_->catalog->nodes().at("nas1");
    nas.set_address("10.0.0.1:7444");
    Put(nas);
    const v1::NodeConfig config = controller::ConfigFor(*em_, "n1");
    return config.workloads().empty() ? v1::OfflineBackups() : config.workloads(0).offline();
  }
  // A beat of `node` with what became of an order of its own.
  void Beat(const std::string& node, v1::OrderUpdate update) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::HeartbeatRequest beat;
    beat.set_node(node);
    *beat.mutable_sent_at() = rpc::ToTimestamp(clock_.Now());
    *beat.add_orders() = std::move(update);
    ASSERT_OK(controller::RecordBeat(*em_, node, "10.0.0.1", beat));
  }

  std::vector<record::v1::RunRecord> Runs() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<record::v1::RunRecord> runs;
    for (const auto& [id, run] : em_->catalog->runs()) runs.push_back(run);
    return runs;
  }
  size_t OpenRuns() {
    size_t open = 0;
    for (const record::v1::RunRecord& run : Runs()) open += controller::IsOpenRun(run);
    return open;
  }
  v1::Run Only() {
    EXPECT_EQ(Runs().size(), 1u);
    return Runs().empty() ? v1::Run() : Runs()[0].run();
  }
  void Ask() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Put(controller::NewRun(*em_, "backup", "db"));
    Tick();
  }
  // A verification of the backup, on its way.
  void AskVerify(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    record::v1::RunRecord verify = controller::NewRun(*em_, "verify", "db");
    verify.mutable_run()->set_backup_id(id);
    Put(verify);
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
    record::v1::OrderRecord order = em_->catalog->orders().at(Order().id());
    if (update.has_backup() && !update.backup().has_receipt())
      *update.mutable_backup()->mutable_receipt() =
          ReceiptFor(Order().backup(), Order().workload());
    *order.mutable_last_update() = std::move(update);
    order.set_finished(true);
    Put(order);
    Tick();
  }
  static v1::OrderUpdate Stored(v1::Outcome::Value outcome, int64_t files,
                                absl::StatusCode read_back = absl::StatusCode::kOk) {
    v1::OrderUpdate update;
    update.set_state(v1::OrderUpdate::DONE);
    v1::BackupResult& result = *update.mutable_backup();
    result.set_outcome(outcome);
    result.set_files(files);
    result.set_read_back_ok(read_back == absl::StatusCode::kOk);
    result.set_read_back_code(static_cast<int>(read_back));
    if (read_back != absl::StatusCode::kOk) result.set_read_back_error("the cause");
    return update;
  }
  static v1::OrderUpdate Failed(absl::StatusCode code) {
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
    for (const record::v1::BackupRecord* good : controller::GoodBackups(*em_, "db"))
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

  record::v1::EstateRecord estate_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_CONTROLLER_BACKUP_RUN_FIXTURE_H_
