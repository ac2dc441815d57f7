// When a tick runs a node's fence command, and when nobody is switched off.
#include "controller/recover/fences.h"

#include "common/rpc/convert.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;

// host1 died, and a recovery of its database proves that nothing runs there.
class Fences : public EmFixture {
 protected:
  Fences() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const char* node : {"host1", "host2", "nas"}) AddNode(node);
    rec::NodeRecord host1 = em_->catalog->nodes().at("host1");
    host1.set_state(v1::NodeState::DEAD);
    *host1.mutable_state_since() = rpc::ToTimestamp(clock_.Now());
    Put(host1);
    spec_ = estate_.mutable_estate()->add_workloads();
    spec_->set_name("db");
    spec_->set_node("host1");
    spec_->mutable_recovery()->add_standby("host2");
    v1::NodeSpec* node = estate_.mutable_estate()->add_nodes();
    node->set_name("host1");
    node->mutable_fence()->add_command("/usr/local/bin/off");
    node->mutable_fence()->add_from("nas");
    node->mutable_fence()->set_timeout_seconds(60);
    workload_.set_name("db");
    workload_.set_node("host1");
    workload_.set_last_recovery("r-1");
    recovery_.mutable_recovery()->set_id("r-1");
    recovery_.mutable_recovery()->set_workload("db");
    recovery_.mutable_recovery()->set_node("host1");
    recovery_.mutable_recovery()->set_state(v1::RecoveryState::FENCING);
    recovery_.set_node_death(true);
  }
  void Put(controller::Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(std::move(record));
    ASSERT_OK(em_->Commit(batch));
  }
  // The nodes whose fence commands a tick begins.
  std::vector<std::string> Begun() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Put(estate_);
    Put(workload_);
    Put(recovery_);
    EXPECT_OK(controller::AdvanceFences(*em_));
    std::vector<std::string> nodes;
    for (const auto& [id, order] : em_->catalog->orders()) {
      EXPECT_EQ(order.node(), "nas");
      nodes.push_back(order.order().fence().node());
    }
    return nodes;
  }

  rec::EstateRecord estate_;
  rec::WorkloadRecord workload_;
  rec::RecoveryRecord recovery_;
  v1::WorkloadSpec* spec_ = nullptr;
};

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Fences, WhatDoesNotStopByItselfNeedsTheCommand) {
  EXPECT_THAT(Begun(), ElementsAre("host1"));
  EXPECT_THAT(Begun(), ElementsAre("host1")) << "one for all, and once";
}

TEST_F(Fences, WhatWillHaveStoppedByItselfDoesNot) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  workload_.set_self_fences(true);
  // It knows host2, which may hold a lease again: silence will prove it.
  rec::NodeRecord host1 = em_->catalog->nodes().at("host1");
  host1.add_peers_told("host2");
  *host1.mutable_last_beat() = rpc::ToTimestamp(clock_.Now());
  Put(host1);
  rec::NodeRecord host2 = em_->catalog->nodes().at("host2");
  *host2.mutable_last_beat() = rpc::ToTimestamp(clock_.Now());
  Put(host2);
  EXPECT_THAT(Begun(), IsEmpty());
}

TEST_F(Fences, WhereNoVoteCanProveItItDoes) {
  workload_.set_self_fences(true);
  EXPECT_THAT(Begun(), ElementsAre("host1"));
}

TEST_F(Fences, NobodyIsSwitchedOffForWhatMayRunTwiceOrCannotMove) {
  spec_->mutable_recovery()->set_class_(v1::RecoverySpec::STATELESS);
  EXPECT_THAT(Begun(), IsEmpty());
  spec_->mutable_recovery()->set_class_(v1::RecoverySpec::EXCLUSIVE);
  spec_->mutable_recovery()->clear_standby();
  EXPECT_THAT(Begun(), IsEmpty());
}

TEST_F(Fences, NobodyIsSwitchedOffWhileTheEstateIsFrozenOrTheNodeInMaintenance)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  rec::FreezeRecord freeze;
  freeze.set_frozen(true);
  Put(freeze);
  EXPECT_THAT(Begun(), IsEmpty());
  freeze.set_frozen(false);
  freeze.set_maintenance(true);
  Put(freeze);
  EXPECT_THAT(Begun(), IsEmpty());
  freeze.set_maintenance(false);
  Put(freeze);
  rec::NodeRecord host1 = em_->catalog->nodes().at("host1");
  host1.set_maintenance(true);
  Put(host1);
  EXPECT_THAT(Begun(), IsEmpty());
}

TEST_F(Fences, WhatWasGivenUpForWantOfAProofGetsOne) {
  recovery_.mutable_recovery()->set_state(v1::RecoveryState::ESCALATED);
  EXPECT_THAT(Begun(), IsEmpty()) << "it was given up for another reason";
  recovery_.set_fence_unproven(true);
  workload_.set_held(true);
  EXPECT_THAT(Begun(), IsEmpty()) << "a person has taken over";
  workload_.set_held(false);
  EXPECT_THAT(Begun(), ElementsAre("host1"));
}

TEST_F(Fences, TheProofIsForgottenWithTheDeath) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_THAT(Begun(), ElementsAre("host1"));
  rec::OrderRecord order = em_->catalog->orders().begin()->second;
  order.mutable_last_update()->set_state(v1::OrderUpdate::DONE);
  order.set_finished(true);
  Put(order);
  EXPECT_OK(controller::AdvanceFences(*em_));
  EXPECT_NE(controller::FenceCommandOf(*em_, "host1").proof, "");
  EXPECT_EQ(em_->catalog->orders().size(), 0u);
  rec::NodeRecord back = em_->catalog->nodes().at("host1");
  back.set_state(v1::NodeState::ALIVE);
  Put(back);
  EXPECT_EQ(controller::FenceCommandOf(*em_, "host1").proof, "");
  EXPECT_OK(controller::AdvanceFences(*em_));
  EXPECT_FALSE(em_->catalog->nodes().at("host1").has_fence());
}

}  // namespace
}  // namespace ember::testing
