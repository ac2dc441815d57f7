// The log's chain, as `ember log verify` walks it, over a disk that somebody changed.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "controller/service/services.h"
#include "ember/v1/control.grpc.pb.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;

class EventLog : public EmFixture {
 protected:
  void SetUp() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (int i = 0; i < 9; ++i) {
      controller::Batch batch;
      batch.AddEvent("test", "subject", std::to_string(i), "db");
      ASSERT_OK(em_->Commit(batch));
    }
  }
  v1::VerifyLogReply Verify() {
    Restart();
    const auto service = controller::NewEventService(em_.get());
    v1::VerifyLogReply reply;
    const grpc::Status status =
        static_cast<v1::EventService::Service*>(service.get())->VerifyLog(nullptr, nullptr, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  // The row of event `seq`.
  std::string& Row(uint64_t seq) {
    std::string key = "v/";
    for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(seq >> shift));
    return disk_.rows.at(key);
  }
  template <typename Change>
  void ChangeEvent(uint64_t seq, const Change& change) {
    rec::EventRecord event;
    ASSERT_TRUE(event.ParseFromString(Row(seq)));
    change(event);
    Row(seq) = event.SerializeAsString();
  }
  void ExpectBad(uint64_t seq) {
    const v1::VerifyLogReply reply = Verify();
    EXPECT_FALSE(reply.intact());
    EXPECT_EQ(reply.first_bad_seq(), seq);
  }
};

TEST_F(EventLog, IsIntactAsWritten) {
  const v1::VerifyLogReply reply = Verify();
  EXPECT_TRUE(reply.intact());
  EXPECT_EQ(reply.events(), 9u);
}

TEST_F(EventLog, AChangedMessageShows) {
  ChangeEvent(4, [](rec::EventRecord& event) { event.mutable_event()->set_message("forged"); });
  ExpectBad(4);
}

TEST_F(EventLog, AChangedMessageWithARecomputedHashShowsInTheNext) {
  ChangeEvent(4, [](rec::EventRecord& event) {
    event.mutable_event()->set_message("forged");
    event.set_hash(controller::EventHash(event));
    event.mutable_event()->set_hash(absl::BytesToHexString(event.hash()));
  });
  ExpectBad(5);
}

TEST_F(EventLog, AnotherWorkloadShows) {
  ChangeEvent(6, [](rec::EventRecord& event) { event.set_workload("web"); });
  ExpectBad(6);
}

TEST_F(EventLog, AMissingEventShows) {
  Row(3).swap(Row(9));
  ExpectBad(3);
}

TEST_F(EventLog, ACutTailShows) {
  for (auto it = disk_.rows.begin(); it != disk_.rows.end();) {
    const bool last = absl::StartsWith(it->first, "v/") && it->second == Row(9);
    if (last) {
      disk_.rows.erase(it);
      break;
    }
    ++it;
  }
  ExpectBad(9);
}

TEST_F(EventLog, NumbersGoOnBehindACutTail) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  disk_.rows.erase(std::prev(disk_.rows.lower_bound("w")));
  Restart();
  EXPECT_EQ(em_->catalog->last_event_seq(), 9u);
}

}  // namespace
}  // namespace ember::testing
