#include "node-agent/link/lookout.h"

#include <atomic>

#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"

namespace ember::agent {
namespace {

using testing::Eventually;

class LookoutTest : public ::testing::Test {
 protected:
  ~LookoutTest() override { lookout_.Stop(); }
  std::map<std::string, absl::Status> Reach(const std::set<std::string>& nodes) {
    ++looks_;
    std::map<std::string, absl::Status> reached;
    // One that is no peer is not looked at.
    if (nodes.contains("n2")) reached["n2"] = absl::OkStatus();
    if (nodes.contains("n3")) reached["n3"] = absl::DeadlineExceededError("no answer");
    return reached;
  }
  bool LooksAgain() {
    const int before = looks_;
    return Eventually([&] {
      clock_.Advance(absl::Seconds(kLookoutEverySeconds));
      return looks_ > before + 1;
    });
  }

  testing::FakeClock clock_;
  std::atomic<int> looks_{0};
  Lookout lookout_{
      &clock_, [this](const std::set<std::string>& nodes, absl::Duration) { return Reach(nodes); }};
};

TEST_F(LookoutTest, SaysWhatItSeesOfThoseItWasAskedFor) {
  lookout_.Run();
  EXPECT_TRUE(lookout_.Sights().empty());
  EXPECT_EQ(looks_, 0) << "nobody asked";
  lookout_.Want({"n2", "n3", "stranger"});
  ASSERT_TRUE(Eventually([&] { return lookout_.Sights().size() == 2; }));
  const std::vector<v1::PeerSight> sights = lookout_.Sights();
  EXPECT_EQ(sights[0].node(), "n2");
  EXPECT_TRUE(sights[0].answers());
  EXPECT_EQ(sights[1].node(), "n3");
  EXPECT_FALSE(sights[1].answers());
  EXPECT_EQ(sights[1].problem(), "no answer");
  EXPECT_TRUE(LooksAgain());
}

TEST_F(LookoutTest, ForgetsAtOnceWhomNobodyAsksForAnyMore) {
  lookout_.Run();
  lookout_.Want({"n2", "n3"});
  ASSERT_TRUE(Eventually([&] { return lookout_.Sights().size() == 2; }));
  lookout_.Want({"n3"});
  ASSERT_EQ(lookout_.Sights().size(), 1u);
  EXPECT_EQ(lookout_.Sights()[0].node(), "n3");
  lookout_.Want({});
  EXPECT_TRUE(lookout_.Sights().empty());
}

}  // namespace
}  // namespace ember::agent
