// The largest estate that there may be, and its death: what is to be done is known within a second.
#include "absl/time/clock.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/recover/recoveries.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;

constexpr absl::Duration kWithin = absl::Seconds(1);

// Chains of ten; each workload with data, a backup and a standby.
class MassRecovery : public EmFixture {
 protected:
  MassRecovery() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const char* node : {"host1", "host2", "nas"}) AddNode(node);
    em_->board.nodes["nas"].address = "10.0.0.1:7444";
    em_->board.nodes["host2"].memory_available_bytes = int64_t{1} << 40;
    rec::EstateRecord estate;
    v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
    vault->set_name("main");
    vault->set_node("nas");
    controller::Batch batch;
    for (size_t i = 0; i < kWorkloadsMax; ++i) {
      v1::WorkloadSpec* spec = estate.mutable_estate()->add_workloads();
      spec->set_name(absl::StrCat("w", i));
      spec->set_node("host1");
      spec->add_sources()->mutable_files()->add_paths(absl::StrCat("/srv/", i));
      spec->mutable_recovery()->add_standby("host2");
      if (i % 10 != 0) spec->add_depends_on(absl::StrCat("w", i - 1));
      rec::WorkloadRecord workload;
      workload.set_name(spec->name());
      workload.set_node("host1");
      workload.set_epoch(1);
      workload.set_self_fences(true);
      workload.set_state(v1::WorkloadState::RUNNING);
      batch.Put(workload);
      rec::BackupRecord backup;
      backup.mutable_backup()->set_id(absl::StrCat(spec->name(), "/20260101-000000"));
      backup.mutable_backup()->set_workload(spec->name());
      backup.mutable_backup()->set_outcome(v1::Outcome::OK);
      backup.mutable_backup()->set_verified(true);
      backup.mutable_backup()->set_size_bytes(1 << 20);
      *backup.mutable_backup()->mutable_created() = rpc::ToTimestamp(clock_.Now() - absl::Hours(2));
      backup.set_vault("main");
      batch.Put(backup);
    }
    batch.Put(estate);
    EXPECT_OK(em_->Commit(batch));
  }
  void Die(const std::string& name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::NodeRecord node = em_->catalog->nodes().at(name);
    node.set_state(v1::NodeState::DEAD);
    controller::Batch batch;
    batch.Put(node);
    ASSERT_OK(em_->Commit(batch));
  }
};

TEST_F(MassRecovery, IsPreviewedWithinASecond) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const absl::Time begin = absl::Now();
  const auto plan = controller::PreviewRecovery(*em_, "host1");
  const absl::Duration taken = absl::Now() - begin;
  RecordProperty("millis", static_cast<int>(absl::ToInt64Milliseconds(taken)));
  ASSERT_OK(plan);
  EXPECT_EQ(static_cast<size_t>(plan->items_size()), kWorkloadsMax);
  EXPECT_EQ(plan->items(0).target(), "host2");
  EXPECT_EQ(plan->items(plan->items_size() - 1).wave(), 10);
  EXPECT_LT(taken, kWithin);
}

// Each of them writes its step.
TEST_F(MassRecovery, TakesAStepOfEachInAFewSeconds) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Die("host1");
  ASSERT_OK(controller::UpdateWorkloads(*em_));
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  const absl::Time begin = absl::Now();
  ASSERT_OK(controller::AdvanceRecoveries(*em_));
  const absl::Duration taken = absl::Now() - begin;
  RecordProperty("millis", static_cast<int>(absl::ToInt64Milliseconds(taken)));
  EXPECT_EQ(em_->catalog->recoveries().size(), kWorkloadsMax);
  EXPECT_LT(taken, 5 * kWithin);
}

}  // namespace
}  // namespace ember::testing
