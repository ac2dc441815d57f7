#include "controller/fleet/observing.h"

#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/fleet/beats.h"
#include "controller/protect/catalog_exports.h"
#include "controller/tick.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

using controller::Batch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Observing : public EmFixture {
 protected:
  Observing() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const char* name : {"n1", "n2", "n3"}) AddNode(name);
    record::v1::EstateRecord estate;
    v1::WorkloadSpec* spec = estate.mutable_estate()->add_workloads();
    spec->set_name("db");
    spec->set_node("n1");
    v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
    vault->set_name("nas");
    vault->set_node("n3");
    record::v1::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_node("n1");
    workload.set_epoch(4);
    workload.set_state(v1::WorkloadState::RUNNING);
    Batch batch;
    batch.Put(estate);
    batch.Put(workload);
    EXPECT_OK(em_->Commit(batch));
    EXPECT_OK(controller::BeginTerm(*em_));
  }
  void Observe() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    record::v1::MetaRecord meta = em_->catalog->meta();
    meta.set_observing(true);
    Batch batch;
    batch.Put(meta);
    ASSERT_OK(em_->Commit(batch));
  }
  v1::HeartbeatReply Beat(const std::string& node, uint64_t controller_epoch, uint64_t epoch = 0,
                          bool running = false) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::HeartbeatRequest request;
    request.set_node(node);
    request.set_boot_id("boot");
    request.set_seq(1);
    request.set_config_version(77);
    request.set_controller_epoch(controller_epoch);
    *request.mutable_sent_at() = rpc::ToTimestamp(clock_.Now());
    if (epoch > 0) {
      v1::WorkloadFact* fact = request.add_workloads();
      fact->set_workload("db");
      fact->set_epoch(epoch);
      fact->set_running(running);
    }
    v1::OrderUpdate* update = request.add_orders();
    update->set_order_id("lost/db/backup/1");
    update->set_state(v1::OrderUpdate::RUNNING);
    EXPECT_OK(controller::RecordBeat(*em_, node, "10.0.0.1", request));
    return controller::ComposeReply(*em_, node, request);
  }
  std::vector<std::string> EventTypes() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> types;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const record::v1::EventRecord& event) {
      types.push_back(event.event().type());
      return true;
    }));
    return types;
  }
};

TEST_F(Observing, TellsAgentsNothingButThatItIsThere) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  EXPECT_TRUE(Beat("n1", 1).has_config());
  Observe();
  const v1::HeartbeatReply reply = Beat("n1", 1);
  EXPECT_GT(reply.lease_millis(), 0);
  EXPECT_FALSE(reply.has_config()) << "its own may be later";
  EXPECT_THAT(reply.cancelled_orders(), IsEmpty())
      << "of a controller that is no more: it may go on";
  EXPECT_FALSE(controller::HasNewsFor(*em_, "n1"));
}

TEST_F(Observing, DecidesNothing) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (const char* name : {"n1", "n2", "n3"}) Beat(name, 1);
  Observe();
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(absl::Seconds(1));
    ASSERT_OK(controller::Tick(*em_));
  }
  EXPECT_NE(em_->catalog->nodes().at("n1").state(), v1::NodeState::ALIVE) << "it looks, though";
  EXPECT_EQ(em_->catalog->workloads().at("db").state(), v1::WorkloadState::RUNNING);
  EXPECT_THAT(em_->catalog->recoveries(), IsEmpty());
  EXPECT_THAT(em_->catalog->orders(), IsEmpty());
  EXPECT_EQ(em_->board.wanted_export.number, 0u) << "the vaults' exports are better than its own";
  EXPECT_FALSE(controller::RefuseWhileObserving(*em_).ok());
}

TEST_F(Observing, EndsWithWhatTheNodesKnowBetter) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  EXPECT_FALSE(controller::Arm(*em_, "admin", true).ok()) << "it does not observe";
  Observe();
  Beat("n1", 3, 4, false);
  Beat("n2", 9, 6, true);  // moved there since
  ASSERT_OK_AND_ASSIGN(v1::ArmReply reply, controller::Arm(*em_, "admin", false));
  EXPECT_THAT(reply.heard(), ElementsAre("n1", "n2"));
  EXPECT_THAT(reply.unheard(), ElementsAre("n3"));
  EXPECT_THAT(reply.corrected(), ElementsAre(HasSubstr("db is on n2 in epoch 6")));
  EXPECT_FALSE(reply.armed());
  EXPECT_TRUE(em_->catalog->meta().observing()) << "asked, not told";
  ASSERT_OK_AND_ASSIGN(reply, controller::Arm(*em_, "admin", true));
  EXPECT_TRUE(reply.armed());
  EXPECT_FALSE(em_->catalog->meta().observing());
  EXPECT_EQ(em_->catalog->meta().em_epoch(), 10u) << "later than any that a node has seen";
  EXPECT_EQ(em_->catalog->workloads().at("db").node(), "n2");
  EXPECT_EQ(em_->catalog->workloads().at("db").epoch(), 6u);
  EXPECT_GE(em_->catalog->meta().epoch_floor(), 6u);
}

TEST_F(Observing, BeginsWhenMostNodesFollowALaterController) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Beat("n1", 99);
  ASSERT_OK(controller::Tick(*em_));
  EXPECT_FALSE(em_->catalog->meta().observing()) << "one may lie";
  Beat("n2", 99);
  ASSERT_OK(controller::Tick(*em_));
  EXPECT_TRUE(em_->catalog->meta().observing());
  EXPECT_THAT(EventTypes(), ::testing::Contains("em.superseded"));
}

TEST_F(Observing, ExportsFollowChangesThatKeepStill) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const auto wait = [&](int64_t seconds) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    clock_.Advance(absl::Seconds(seconds));
    controller::UpdateWantedExport(*em_);
    return em_->board.wanted_export.number;
  };
  EXPECT_EQ(wait(0), 0u);
  const uint64_t first = wait(kExportQuietSeconds);
  EXPECT_EQ(first, (em_->catalog->meta().em_epoch() << 32) + 1);
  EXPECT_EQ(wait(60), first);
  AddNode("n4");
  EXPECT_EQ(wait(1), first) << "more may follow";
  EXPECT_EQ(wait(kExportQuietSeconds), first + 1);
  EXPECT_EQ(wait(kExportEverySeconds - 1), first + 1);
  EXPECT_EQ(wait(1), first + 2) << "for the backups' sake";
}

TEST_F(Observing, ExportsAreForNodesThatServeAVault) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  EXPECT_TRUE(absl::IsPermissionDenied(controller::MakeExportFor(*em_, "n1").status()));
  EXPECT_FALSE(controller::MakeExportFor(*em_, "n3").ok()) << "none is wanted yet";
  controller::UpdateWantedExport(*em_);
  clock_.Advance(absl::Seconds(kExportQuietSeconds));
  controller::UpdateWantedExport(*em_);
  EXPECT_OK(controller::MakeExportFor(*em_, "n3"));
}

}  // namespace
}  // namespace ember::testing
