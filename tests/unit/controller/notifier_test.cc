#include "controller/notify/notifier.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NotifierTest : public EmFixture {
 protected:
  void SetChannels(const std::vector<std::string>& kinds) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::EstateRecord estate;
    for (const std::string& kind : kinds) {
      v1::NotifyChannel* channel = estate.mutable_estate()->mutable_settings()->add_notify();
      channel->set_kind(kind);
      channel->set_url(absl::StrCat("http://", kind));
    }
    controller::Batch batch;
    batch.Put(estate);
    ASSERT_OK(em_->Commit(batch));
  }
  void Happens(const std::string& type, const std::string& message) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.AddEvent(type, "r-1", message, "db");
    ASSERT_OK(em_->Commit(batch));
  }
  // What is told until nothing is left.
  std::vector<std::string> Tell() {
    told_.clear();
    controller::Notifier notifier(
        em_.get(), [this](const v1::NotifyChannel& channel, const controller::Notice& notice,
                          const absl::Notification&) {
          if (failures_ > 0) {
            --failures_;
            return absl::UnavailableError("nobody there");
          }
          told_.push_back(absl::StrCat(channel.kind(), ": ", notice.event.message()));
          return absl::OkStatus();
        });
    // Pauses between tries take next to no time.
    absl::Notification done;
    std::thread time([&] {
      while (!SystemClock()->Sleep(absl::Milliseconds(1), done)) clock_.Advance(absl::Seconds(1));
    });
    while (notifier.TellNext()) {
    }
    done.Notify();
    time.join();
    return told_;
  }
  int EventsOf(const std::string& type) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    int count = 0;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
      count += event.event().type() == type ? 1 : 0;
      return true;
    }));
    return count;
  }

  std::vector<std::string> told_;
  int failures_ = 0;
};

TEST_F(NotifierTest, EveryChannelHearsOnceOfWhatMatters) {
  SetChannels({"webhook", "ntfy"});
  Happens("recovery.planned", "looking");
  Happens("recovery.escalated", "no way back");
  EXPECT_THAT(Tell(), ElementsAre("webhook: no way back", "ntfy: no way back"));
  EXPECT_THAT(Tell(), IsEmpty());
  Restart();
  EXPECT_THAT(Tell(), IsEmpty()) << "it is on the disk what was told";
}

TEST_F(NotifierTest, WhatCannotBeWrittenDownIsToldAgain) {
  SetChannels({"webhook"});
  Happens("backup.failed", "no space");
  disk_.full = true;
  EXPECT_THAT(Tell(), ElementsAre("webhook: no space"));
  disk_.full = false;
  EXPECT_THAT(Tell(), ElementsAre("webhook: no space"));
}

TEST_F(NotifierTest, AChannelThatFailsIsTriedAgainAndThenPassedOver) {
  SetChannels({"webhook"});
  failures_ = kNoticeTries - 1;
  Happens("backup.failed", "no space");
  EXPECT_THAT(Tell(), ElementsAre("webhook: no space"));
  EXPECT_EQ(EventsOf("notify.failed"), 0);
  failures_ = kNoticeTries;
  Happens("backup.failed", "again");
  EXPECT_THAT(Tell(), IsEmpty());
  EXPECT_EQ(EventsOf("notify.failed"), 1);
}

TEST_F(NotifierTest, WhatIsOldOrHappenedWithoutAChannelIsNoNews) {
  controller::Notifier without(em_.get(), nullptr);
  Happens("backup.failed", "unheard");
  EXPECT_FALSE(without.TellNext());
  SetChannels({"webhook"});
  EXPECT_FALSE(without.TellNext());
  clock_.Advance(absl::Hours(kNoticeAgeMaxHours) + absl::Seconds(1));
  EXPECT_THAT(Tell(), IsEmpty());
}

TEST(Notices, ADeadNodeIsUrgentAndOneThatIsBackIsNone) {
  v1::Event event;
  event.set_type("node.state");
  event.set_subject("n1");
  event.set_message("UNREACHABLE -> DEAD, silent for 45s");
  const auto notice = controller::NoticeOf(event, "");
  ASSERT_TRUE(notice.has_value());
  EXPECT_TRUE(notice->urgent);
  EXPECT_EQ(notice->title, "Ember: n1: is dead");
  event.set_message("UNREACHABLE -> DEAD, silent for 45s (in maintenance)");
  EXPECT_FALSE(controller::NoticeOf(event, "").has_value()) << "it was switched off";
  event.set_message("DEAD -> ALIVE");
  EXPECT_FALSE(controller::NoticeOf(event, "").has_value());
}

}  // namespace
}  // namespace ember::testing
