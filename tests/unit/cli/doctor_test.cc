// ember doctor.
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;

class Doctor : public Session {
 protected:
  Doctor() {
    script_.status.mutable_em()->set_version(kVersion);
    *script_.status.mutable_em()->mutable_now() = rpc::ToTimestamp(clock_.Now());
  }
  // The finding about `check`; null when there is none.
  nlohmann::json Find(const std::string& check) {
    const nlohmann::json all = Json();
    for (const nlohmann::json& item : all["items"]) {
      if (item["check"] == check) return item;
    }
    return nullptr;
  }
};

TEST_F(Doctor, SaysOfEachCheckWhetherItIsWellAndWhatToDo) {
  Ember({"doctor", directory_.path(), "--json"});
  for (const char* check : {"version", "permissions", "space", "libvirt", "xattrs", "ACLs", "holes",
                            "exchanges", "identity", "em", "clock"}) {
    const nlohmann::json found = Find(check);
    ASSERT_TRUE(found.is_object()) << check;
    EXPECT_NE(found["message"], "") << check;
    if (found["level"] != "ok") {
      EXPECT_NE(found["next"], "") << check;
    }
  }
  EXPECT_EQ(Find("em")["level"], "ok");
  EXPECT_EQ(Find("clock")["level"], "ok");
  EXPECT_EQ(Find("version")["level"], "ok");
}

TEST_F(Doctor, LeavesNothingBehind) {
  ASSERT_OK_AND_ASSIGN(const auto before, ListDirectory(directory_.path()));
  Ember({"doctor", directory_.path()});
  ASSERT_OK_AND_ASSIGN(const auto after, ListDirectory(directory_.path()));
  EXPECT_EQ(before, after);
}

TEST_F(Doctor, AnEmThatDoesNotAnswerIsAFailureAndTheOtherChecksAreMade) {
  script_.failure = absl::UnavailableError("nobody there");
  EXPECT_EQ(Ember({"doctor", directory_.path(), "--json"}), 1);
  EXPECT_EQ(Find("em")["level"], "fail");
  EXPECT_EQ(Find("space")["level"], "ok");
  EXPECT_EQ(Ember({"doctor", directory_.path()}), 1);
  EXPECT_THAT(out_, HasSubstr("fail  em"));
}

TEST_F(Doctor, AClockThatIsOffAndAnotherVersionAreWarnings) {
  script_.status.mutable_em()->set_version("0.0.1");
  *script_.status.mutable_em()->mutable_now() =
      rpc::ToTimestamp(clock_.Now() + absl::Seconds(kClockSkewWarnSeconds + 60));
  Ember({"doctor", directory_.path(), "--json"});
  EXPECT_EQ(Find("em")["level"], "warn");
  EXPECT_EQ(Find("clock")["level"], "warn");
  EXPECT_THAT(Find("clock")["message"].get<std::string>(), HasSubstr("behind the EM's"));
}

TEST_F(Doctor, ADirectoryThatIsNotThereIsAFailure) {
  EXPECT_EQ(Ember({"doctor", directory_.Join("nowhere"), "--json"}), 1);
  EXPECT_EQ(Find("space")["level"], "fail");
  EXPECT_EQ(Find("file system")["level"], "fail");
}

}  // namespace
}  // namespace ember::cli
