#include "controller/fleet/beats.h"

#include "common/rpc/convert.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

class Beats : public EmFixture {
 protected:
  Beats() { AddNode("n1"); }
  v1::HeartbeatRequest Beat() {
    v1::HeartbeatRequest request;
    request.set_node("n1");
    request.set_boot_id("boot");
    request.set_seq(++seq_);
    *request.mutable_sent_at() = rpc::ToTimestamp(clock_.Now());
    v1::AgentEvent* event = request.add_events();
    event->set_seq(1);
    event->set_type("test");
    event->set_message("happened");
    v1::WorkloadFact* fact = request.add_workloads();
    fact->set_workload("db");
    fact->set_running(true);
    fact->set_restarts(restarts_);
    return request;
  }
  uint64_t seq_ = 0;
  int restarts_ = 0;
};

TEST_F(Beats, AFullDiskOfTheControllerLetsNobodyFallSilent) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", Beat()));
  clock_.Advance(absl::Seconds(30));
  disk_.full = true;
  restarts_ = 1;
  v1::HeartbeatRequest beat = Beat();
  beat.mutable_events(0)->set_seq(2);
  EXPECT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", beat));
  EXPECT_EQ(em_->board.nodes.at("n1").last_beat, clock_.Monotonic());
  const v1::HeartbeatReply reply = controller::ComposeReply(*em_, "n1", beat);
  EXPECT_GT(reply.lease_millis(), 0);
  EXPECT_EQ(reply.acknowledged_event_seq(), 1u) << "not recorded, so not acknowledged";

  disk_.full = false;
  ASSERT_OK(controller::RecordBeat(*em_, "n1", "10.0.0.1", beat));
  EXPECT_EQ(controller::ComposeReply(*em_, "n1", beat).acknowledged_event_seq(), 2u);
  std::vector<std::string> types;
  ASSERT_OK(em_->catalog->ScanEvents(0, [&](const record::v1::EventRecord& event) {
    types.push_back(event.event().type());
    return true;
  }));
  EXPECT_THAT(types, ::testing::ElementsAre("test", "test", "workload.restarted"));
}

TEST_F(Beats, AnotherFailureOfTheDiskIsNotTolerated) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  disk_.fail_at = disk_.writes;
  EXPECT_FALSE(controller::RecordBeat(*em_, "n1", "10.0.0.1", Beat()).ok());
}

}  // namespace
}  // namespace ember::testing
