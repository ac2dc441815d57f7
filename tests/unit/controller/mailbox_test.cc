#include "controller/messages/mailbox.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "controller/fleet/beats.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using controller::Batch;
using controller::ConfirmMessage;
using controller::KeepMessage;
using controller::OldestFor;
using controller::RecordSpooled;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Mailbox : public EmFixture {
 protected:
  Mailbox() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    AddNode("n1");
    record::v1::EstateRecord estate;
    for (const char* name : {"app", "app2", "db"})
      estate.mutable_estate()->add_workloads()->set_name(name);
    Batch batch;
    batch.Put(estate);
    EXPECT_OK(em_->Commit(batch));
  }
  static v1::Message Text(const std::string& id, const std::string& to = "db") {
    v1::Message message;
    message.set_id(id);
    message.set_to(to);
    message.set_body(absl::StrCat("text of ", id));
    return message;
  }
  v1::HeartbeatRequest Spooled(const std::string& spool, uint64_t first,
                               const std::vector<v1::Message>& messages) {
    v1::HeartbeatRequest request;
    request.set_node("n1");
    request.set_message_spool(spool);
    for (const v1::Message& message : messages) {
      v1::SpooledMessage* spooled = request.add_messages();
      spooled->set_seq(first++);
      *spooled->mutable_message() = message;
    }
    return request;
  }
  // Takes everything there is for `receiver`, as one who confirms.
  std::vector<std::string> Drain(const std::string& receiver = "db")
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> ids;
    while (const v1::Message* oldest = OldestFor(*em_->catalog, receiver)) {
      ids.push_back(oldest->id());
      EXPECT_EQ(oldest->body(), absl::StrCat("text of ", oldest->id()));
      EXPECT_OK(ConfirmMessage(*em_, receiver, oldest->seq()));
    }
    return ids;
  }
  uint64_t Acknowledged() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->nodes().at("n1").acknowledged_message_seq();
  }
};

TEST_F(Mailbox, KeepsEachOnceAndInOrderThroughARestart) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_OK(KeepMessage(*em_, Text("a")));
  ASSERT_OK(KeepMessage(*em_, Text("x", "app")));
  ASSERT_OK(KeepMessage(*em_, Text("b")));
  Restart();
  ASSERT_OK_AND_ASSIGN(const v1::Message again, KeepMessage(*em_, Text("a")));
  EXPECT_EQ(again.seq(), 1u);
  ASSERT_OK(KeepMessage(*em_, Text("y", "app2")));
  EXPECT_THAT(Drain(), ElementsAre("a", "b"));
  EXPECT_THAT(Drain("app"), ElementsAre("x")) << "not those of app2";
  Restart();
  ASSERT_OK(KeepMessage(*em_, Text("a")));
  EXPECT_THAT(Drain(), IsEmpty()) << "what was confirmed does not come again";
}

TEST_F(Mailbox, RefusesWhatItCannotKeep) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  EXPECT_THAT(KeepMessage(*em_, Text("a", "nobody")), HasCode(StatusCode::kNotFound));
  EXPECT_THAT(KeepMessage(*em_, Text("")), HasCode(StatusCode::kInvalidArgument));
  v1::Message message = Text("a");
  message.set_from("nobody");
  EXPECT_THAT(KeepMessage(*em_, message), HasCode(StatusCode::kNotFound));
  message = Text("a");
  message.set_body(std::string(kMessageBytesMax + 1, 'x'));
  EXPECT_THAT(KeepMessage(*em_, message), HasCode(StatusCode::kInvalidArgument));
}

TEST_F(Mailbox, TakesASpoolOnceWhateverIsSentAgain) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", 1, {Text("a"), Text("b")})));
  EXPECT_EQ(Acknowledged(), 2u);
  Restart();
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", 1, {Text("a"), Text("b"), Text("c")})));
  EXPECT_EQ(Acknowledged(), 3u);
  EXPECT_THAT(Drain(), ElementsAre("a", "b", "c"));
  // The node lost its log: another one begins at 1.
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s2", 1, {Text("d")})));
  EXPECT_EQ(Acknowledged(), 1u);
  EXPECT_THAT(Drain(), ElementsAre("d"));
}

TEST_F(Mailbox, ACrashTakesNeitherOrBothOfMessagesAndMark) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  disk_.full = true;
  EXPECT_FALSE(RecordSpooled(*em_, "n1", Spooled("s1", 1, {Text("a"), Text("b")})).ok());
  EXPECT_EQ(Acknowledged(), 0u);
  disk_.full = false;
  Restart();
  EXPECT_THAT(Drain(), IsEmpty());
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", 1, {Text("a"), Text("b")})));
  EXPECT_THAT(Drain(), ElementsAre("a", "b"));
}

TEST_F(Mailbox, WhatCannotBeKeptIsAnEventAndDoesNotBlockTheRest) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", 1, {Text("a", "nobody"), Text("b")})));
  EXPECT_EQ(Acknowledged(), 2u);
  EXPECT_THAT(Drain(), ElementsAre("b"));
  std::vector<std::string> types;
  ASSERT_OK(em_->catalog->ScanEvents(0, [&](const record::v1::EventRecord& event) {
    types.push_back(event.event().type());
    return true;
  }));
  EXPECT_THAT(types, Contains("message.refused"));
}

TEST_F(Mailbox, ANodeSpeaksForItsOwnWorkloadsOnly) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Batch batch;
  for (const auto& [name, node] : {std::pair("app", "n1"), std::pair("app2", "n2")}) {
    record::v1::WorkloadRecord workload;
    workload.set_name(name);
    workload.set_node(node);
    batch.Put(workload);
  }
  ASSERT_OK(em_->Commit(batch));
  v1::Message own = Text("own"), stolen = Text("stolen");
  own.set_from("app");
  stolen.set_from("app2");
  ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", 1, {stolen, own})));
  EXPECT_THAT(Drain(), ElementsAre("own"));
}

TEST_F(Mailbox, WhatHasNoRoomStaysWithTheAgent) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (size_t i = 0; i < kMessagesPerReceiverMax; i += kMessagesPerBeat) {
    std::vector<v1::Message> messages;
    for (size_t j = 0; j < kMessagesPerBeat; ++j) messages.push_back(Text(absl::StrCat(i + j)));
    ASSERT_OK(RecordSpooled(*em_, "n1", Spooled("s1", i + 1, messages)));
  }
  EXPECT_THAT(KeepMessage(*em_, Text("more")), HasCode(StatusCode::kResourceExhausted));
  const uint64_t full = Acknowledged();
  const auto rest = Spooled("s1", full + 1, {Text("more"), Text("other", "app")});
  ASSERT_OK(RecordSpooled(*em_, "n1", rest));
  EXPECT_EQ(Acknowledged(), full) << "in order: what follows waits, too";
  ASSERT_OK(ConfirmMessage(*em_, "db", OldestFor(*em_->catalog, "db")->seq()));
  ASSERT_OK(RecordSpooled(*em_, "n1", rest));
  EXPECT_EQ(Acknowledged(), full + 2);
  EXPECT_THAT(Drain("app"), ElementsAre("other"));
}

TEST_F(Mailbox, RemembersAsManyConfirmedIdsAsItSays) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (size_t i = 0; i < kMessagesListedMax + 5; ++i) {
    ASSERT_OK_AND_ASSIGN(const v1::Message kept, KeepMessage(*em_, Text(absl::StrCat(i))));
    ASSERT_OK(ConfirmMessage(*em_, "db", kept.seq()));
  }
  EXPECT_EQ(em_->catalog->messages().size(), kMessagesListedMax);
}

TEST_F(Mailbox, OfAWorkloadThatIsRemovedGoesWithIt) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ASSERT_OK(KeepMessage(*em_, Text("a")));
  ASSERT_OK(KeepMessage(*em_, Text("x", "app")));
  v1::Estate next;
  next.add_workloads()->set_name("app");
  Batch batch;
  controller::EraseMailboxesNotIn(next, *em_->catalog, &batch);
  ASSERT_OK(em_->Commit(batch));
  EXPECT_EQ(OldestFor(*em_->catalog, "db"), nullptr);
  EXPECT_NE(OldestFor(*em_->catalog, "app"), nullptr);
}

}  // namespace
}  // namespace ember::testing
