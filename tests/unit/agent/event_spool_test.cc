#include "node-agent/link/event_spool.h"

#include "common/base/file.h"
#include "common/base/limits.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

class EventSpoolTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    absl::StatusOr<std::unique_ptr<EventSpool>> opened =
        EventSpool::Open(dir_.Join("events"), &clock_);
    ASSERT_OK(opened);
    spool_ = *std::move(opened);
  }
  testing::TempDir dir_;
  testing::FakeClock clock_;
  std::unique_ptr<EventSpool> spool_;
};

TEST_F(EventSpoolTest, KeepsEventsInOrderAcrossARestartUntilAcknowledged) {
  spool_->Add("a", "x", "first");
  spool_->Add("b", "y", "second");
  Reopen();
  spool_->Add("c", "z", "third");
  ASSERT_EQ(spool_->Head().size(), 3u);
  EXPECT_EQ(spool_->Head()[0].seq(), 1u);
  EXPECT_EQ(spool_->Head()[2].seq(), 3u);
  EXPECT_EQ(spool_->Head()[2].message(), "third");
  spool_->Acknowledge(2);
  Reopen();
  ASSERT_EQ(spool_->Head().size(), 1u);
  EXPECT_EQ(spool_->Head()[0].seq(), 3u);
  spool_->Acknowledge(3);
  EXPECT_TRUE(spool_->Head().empty());
  spool_->Add("d", "", "fourth");
  EXPECT_EQ(spool_->Head()[0].seq(), 4u);
}

TEST_F(EventSpoolTest, ASpoolYoungerThanTheControllersMemoryIsRenumbered) {
  spool_->Add("a", "", "news");
  spool_->Acknowledge(57);
  ASSERT_EQ(spool_->Head().size(), 1u)
      << "57 was acknowledged to the spool that was lost, not to this one";
  EXPECT_EQ(spool_->Head()[0].seq(), 58u);
  spool_->Acknowledge(58);
  EXPECT_TRUE(spool_->Head().empty());
}

TEST_F(EventSpoolTest, AFullSpoolKeepsTheOldestAndSaysHowManyItDropped) {
  for (size_t i = 0; i < kEventsSpooledMax + 5; ++i) spool_->Add("a", "", "flood");
  EXPECT_EQ(spool_->Head().size(), kEventsPerBeat);
  spool_->Acknowledge(kEventsSpooledMax);
  ASSERT_EQ(spool_->Head().size(), 1u);
  EXPECT_EQ(spool_->Head()[0].type(), "events.dropped");
  EXPECT_EQ(spool_->Head()[0].message().rfind("5 events", 0), 0u);
  EXPECT_EQ(spool_->Head()[0].seq(), kEventsSpooledMax + 1);
}

TEST_F(EventSpoolTest, ADamagedSpoolIsSetAside) {
  ASSERT_OK(WriteFileAtomic(dir_.Join("events"), "\xff\xff garbage"));
  Reopen();
  EXPECT_TRUE(spool_->Head().empty());
  EXPECT_TRUE(FileExists(dir_.Join("events.damaged")));
}

}  // namespace
}  // namespace ember::agent
