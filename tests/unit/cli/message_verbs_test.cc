// ember message ..., ember recovery arm.
#include "common/base/limits.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::Message Waiting(uint64_t seq, const std::string& body) {
  v1::Message message;
  message.set_seq(seq);
  message.set_to("db");
  message.set_id("m1");
  message.set_body(body);
  return message;
}

TEST_F(Session, MessageSendTakesTextAFileOrStdin) {
  EXPECT_EQ(Ember({"message", "send", "db", "hello there", "--from", "app", "--id", "m7"}), 0);
  EXPECT_EQ(out_, "m7\n");
  EXPECT_EQ(script_.sent.message().to(), "db");
  EXPECT_EQ(script_.sent.message().from(), "app");
  EXPECT_EQ(script_.sent.message().body(), "hello there");
  ASSERT_OK(WriteFileAtomic(directory_.Join("text"), std::string("two\nlines\0", 10)));
  EXPECT_EQ(Ember({"message", "send", "db", "-f", directory_.Join("text")}), 0);
  EXPECT_EQ(script_.sent.message().body(), std::string("two\nlines\0", 10));
  const std::string first = script_.sent.message().id();
  input_ = "piped";
  EXPECT_EQ(Ember({"message", "send", "db", "-f", "-"}), 0);
  EXPECT_EQ(script_.sent.message().body(), "piped");
  EXPECT_NE(script_.sent.message().id(), first) << "each is another message";
  script_.calls.clear();
  EXPECT_EQ(Ember({"message", "send", "db"}), 2);
  EXPECT_EQ(Ember({"message", "send", "db", "text", "-f", "-"}), 2);
  EXPECT_THAT(script_.calls, IsEmpty());
}

TEST_F(Session, MessageSendGoesToTheAgentThatIsNamed) {
  EXPECT_EQ(Ember({"message", "send", "db", "x", "--agent", "n1@127.0.0.1:7444"}), 0);
  EXPECT_EQ(dialled_, "n1@127.0.0.1:7444");
  environment_["EMBER_AGENT"] = "n2@127.0.0.1:7445";
  EXPECT_EQ(Ember({"message", "send", "db", "x"}), 0);
  EXPECT_EQ(dialled_, "n2@127.0.0.1:7445");
  for (const char* wrong : {"n1", "@a:1", "n1@host"}) {
    EXPECT_EQ(Ember({"message", "send", "db", "x", "--agent", wrong}), 2) << wrong;
    EXPECT_THAT(err_, HasSubstr("NODE@HOST:PORT"));
  }
}

TEST_F(Session, MessageReceivePrintsTheBodyAndConfirmsIt) {
  script_.messages = {Waiting(4, "raw"), Waiting(4, "raw"), absl::UnavailableError("down")};
  EXPECT_EQ(Ember({"message", "receive", "db", "--keep"}), 0);
  EXPECT_THAT(script_.confirmed, IsEmpty());
  EXPECT_EQ(Ember({"message", "receive", "db"}), 0);
  EXPECT_EQ(out_, "raw\n");
  EXPECT_THAT(script_.confirmed, ElementsAre(4));
  EXPECT_EQ(Ember({"message", "receive", "db"}), 6);
  EXPECT_EQ(Ember({"message", "receive", "db"}), 5) << "none";
  EXPECT_THAT(err_, HasSubstr("no message waits"));
  EXPECT_EQ(script_.confirmed.size(), 1u);
}

TEST_F(Session, MessageReceiveWaitsThroughAnAbsenceOfTheEm) {
  script_.messages = {v1::Message(), absl::UnavailableError("down"), Waiting(5, "late")};
  EXPECT_EQ(Ember({"message", "receive", "db", "--wait"}), 0);
  EXPECT_EQ(out_, "late\n");
  EXPECT_THAT(err_, HasSubstr("does not answer"));
  EXPECT_TRUE(interrupt_.armed);
}

TEST_F(Session, MessageListShowsWhatIsSafeToShow) {
  *script_.message_list.add_items() =
      Waiting(1, "bell \a and more than forty bytes of text to show");
  EXPECT_EQ(Ember({"message", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("bell \\007"));
  EXPECT_THAT(out_, HasSubstr("..."));
  EXPECT_THAT(out_, Not(HasSubstr("\a")));
  script_.message_list.clear_items();
  EXPECT_EQ(Ember({"message", "list", "db"}), 0);
  EXPECT_EQ(out_, "no messages\n");
}

TEST_F(Session, RecoveryArmSaysWhoWasNotHeardAndAsks) {
  script_.arm.add_heard("n1");
  script_.arm.add_unheard("n2");
  script_.arm.add_corrected("db is on n1 in epoch 5");
  EXPECT_EQ(Ember({"recovery", "arm"}), 4) << "nobody said yes";
  EXPECT_THAT(out_, HasSubstr("not heard: n2"));
  EXPECT_THAT(out_, HasSubstr("db is on n1"));
  ASSERT_EQ(script_.arms.size(), 1u);
  EXPECT_FALSE(script_.arms[0].confirmed());
  EXPECT_EQ(Ember({"recovery", "arm", "--yes"}), 0);
  EXPECT_TRUE(script_.arms.back().confirmed());
  EXPECT_THAT(out_, HasSubstr("armed"));
}

}  // namespace
}  // namespace ember::cli
