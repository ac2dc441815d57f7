#include "node-agent/link/message_log.h"

#include <sys/resource.h>

#include <csignal>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MessageLogTest : public ::testing::Test {
 protected:
  MessageLogTest() { Reopen(); }
  void Reopen() {
    log_ = nullptr;
    auto opened = MessageLog::Open(dir_.Join("messages"),
                                   [this](absl::string_view what) { lost_.emplace_back(what); });
    ASSERT_OK(opened);
    log_ = *std::move(opened);
  }
  absl::Status Send(const std::string& id, size_t bytes = 1) {
    v1::Message message;
    message.set_id(id);
    message.set_to("db");
    message.set_body(std::string(bytes, 'b'));
    return log_->Append(message);
  }
  std::vector<std::string> Ids() {
    std::vector<std::string> ids;
    for (const v1::SpooledMessage& each : log_->Head()) ids.push_back(each.message().id());
    return ids;
  }
  std::vector<std::string> Segments() {
    auto names = ListDirectory(dir_.Join("messages"));
    EXPECT_OK(names);
    std::sort(names->begin(), names->end());
    return *names;
  }
  std::string PathOf(size_t segment) {
    return JoinPath(dir_.Join("messages"), Segments().at(segment));
  }

  TempDir dir_;
  std::vector<std::string> lost_;
  std::unique_ptr<MessageLog> log_;
};

TEST_F(MessageLogTest, KeepsMessagesInOrderAcrossRestartsUntilAcknowledged) {
  const std::string id = log_->id();
  EXPECT_EQ(id.size(), 32u);
  ASSERT_OK(Send("a"));
  ASSERT_OK(Send("b"));
  ASSERT_OK(Send("a")) << "sent again";
  Reopen();
  EXPECT_EQ(log_->id(), id);
  ASSERT_OK(Send("c"));
  EXPECT_THAT(Ids(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(log_->Head()[2].seq(), 3u);
  log_->Acknowledge(2);
  EXPECT_THAT(Ids(), ElementsAre("c"));
  log_->Acknowledge(3);
  EXPECT_THAT(Ids(), IsEmpty());
  Reopen();
  ASSERT_OK(Send("d"));
  EXPECT_EQ(log_->Head().back().seq(), 4u) << "numbers are never used twice";
  EXPECT_THAT(lost_, IsEmpty());
}

TEST_F(MessageLogTest, RemovesSegmentsThatAreSent) {
  for (int i = 0; i < 40; ++i) ASSERT_OK(Send(absl::StrCat(i), 60 << 10));
  ASSERT_EQ(Segments().size(), 3u);
  EXPECT_LT(Ids().size(), 40u) << "a beat has bounds";
  log_->Acknowledge(39);
  EXPECT_EQ(Segments().size(), 1u);
  EXPECT_THAT(Ids(), ElementsAre("39"));
  Reopen();
  EXPECT_EQ(Ids().back(), "39");
}

TEST_F(MessageLogTest, SaysWhenItIsFullAndDropsNothing) {
  absl::Status sent;
  int kept = 0;
  while ((sent = Send(absl::StrCat(kept), kMessageBytesMax)).ok()) ++kept;
  EXPECT_THAT(sent, HasCode(StatusCode::kResourceExhausted));
  EXPECT_GE(static_cast<size_t>(kept), kMessageSpoolBytesMax / (kMessageBytesMax + 1024));
  EXPECT_EQ(log_->Head()[0].message().id(), "0");
  log_->Acknowledge(1);
  EXPECT_OK(Send("again", kMessageBytesMax));
}

TEST_F(MessageLogTest, RefusesWhatIsNoMessage) {
  EXPECT_THAT(Send(""), HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(Send(std::string(kMessageIdBytesMax + 1, 'i')),
              HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(Send("a", kMessageBytesMax + 1), HasCode(StatusCode::kInvalidArgument));
  v1::Message nowhere;
  nowhere.set_id("a");
  EXPECT_THAT(log_->Append(nowhere), HasCode(StatusCode::kInvalidArgument));
}

TEST_F(MessageLogTest, CutsOffWhatWasTornByACrashAnywhere) {
  ASSERT_OK(Send("a"));
  ASSERT_OK_AND_ASSIGN(const std::string whole, ReadFile(PathOf(0)));
  ASSERT_OK(Send("b"));
  ASSERT_OK_AND_ASSIGN(const std::string more, ReadFile(PathOf(0)));
  for (size_t size = whole.size(); size < more.size(); ++size) {
    log_ = nullptr;
    ASSERT_OK(WriteFileAtomic(PathOf(0), more.substr(0, size)));
    Reopen();
    ASSERT_THAT(Ids(), ElementsAre("a")) << size;
    ASSERT_OK(Send("c"));
    Reopen();
    ASSERT_THAT(Ids(), ElementsAre("a", "c")) << size;
  }
  EXPECT_THAT(lost_, IsEmpty());
  // Not even the beginning of a new segment was written.
  ASSERT_OK(WriteFileAtomic(JoinPath(dir_.Join("messages"), "0000000000000009.log"), "EMB"));
  Reopen();
  EXPECT_THAT(Ids(), ElementsAre("a", "c"));
  ASSERT_OK(Send("d"));
  EXPECT_THAT(Ids(), ElementsAre("a", "c", "d"));
}

TEST_F(MessageLogTest, TellsOfADamagedSegmentAndKeepsTheRest) {
  for (int i = 0; i < 40; ++i) ASSERT_OK(Send(absl::StrCat(i), 60 << 10));
  const std::string path = PathOf(0);
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(path));
  bytes[3 * (60 << 10)] = 'x';  // within the third message
  ASSERT_OK(WriteFileAtomic(path, bytes));
  Reopen();
  EXPECT_THAT(lost_, ElementsAre(HasSubstr("set aside")));
  EXPECT_TRUE(FileExists(absl::StrCat(path, ".damaged")));
  std::vector<std::string> ids;
  for (uint64_t last = 0;;) {
    const auto head = log_->Head();
    if (head.empty()) break;
    for (const auto& each : head) {
      EXPECT_GT(each.seq(), last);
      last = each.seq();
      ids.push_back(each.message().id());
    }
    log_->Acknowledge(last);
  }
  EXPECT_THAT(std::vector<std::string>(ids.begin(), ids.begin() + 2), ElementsAre("0", "1"));
  EXPECT_EQ(ids.back(), "39");
  lost_.clear();
  Reopen();
  EXPECT_THAT(lost_, IsEmpty()) << "told once";
}

TEST_F(MessageLogTest, AFullDiskIsSaidAndLeavesNothingHalf) {
  ASSERT_OK(Send("a"));
  ASSERT_OK_AND_ASSIGN(const std::string whole, ReadFile(PathOf(0)));
  // A file that may not grow, as on a full disk.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  rlimit limited = before;
  limited.rlim_cur = whole.size() + 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  const absl::Status sent = Send("b", 4096);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(sent.ok());
  EXPECT_THAT(ReadFile(PathOf(0)).value(), whole);
  ASSERT_OK(Send("c"));
  Reopen();
  EXPECT_THAT(Ids(), ElementsAre("a", "c"));
}

}  // namespace
}  // namespace ember::agent
