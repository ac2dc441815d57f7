#include "node-agent/link/lease.h"

#include "common/base/limits.h"
#include "gtest/gtest.h"

namespace ember::agent {
namespace {

using absl::Seconds;

TEST(Lease, IsNotHeldBeforeTheFirstGrant) {
  const Lease lease;
  EXPECT_FALSE(lease.Held(-absl::InfiniteDuration() + Seconds(1)));
  EXPECT_FALSE(lease.Held(absl::ZeroDuration()));
  EXPECT_FALSE(lease.ever_granted());
  EXPECT_EQ(lease.length(), Seconds(kLeaseSeconds));
}

TEST(Lease, CountsFromTheSendTimeHoweverLateTheReply) {
  Lease lease;
  lease.Grant(Seconds(100), Seconds(20));
  EXPECT_TRUE(lease.Held(Seconds(119)));
  EXPECT_FALSE(lease.Held(Seconds(120)));
  EXPECT_EQ(lease.end(), Seconds(120));
}

TEST(Lease, AnOlderBeatsReplyChangesNothing) {
  Lease lease;
  lease.Grant(Seconds(100), Seconds(20));
  lease.Grant(Seconds(90), Seconds(60));
  EXPECT_EQ(lease.end(), Seconds(120));
}

TEST(Lease, ANewerBeatMayShortenIt) {
  Lease lease;
  lease.Grant(Seconds(100), Seconds(60));
  lease.Grant(Seconds(101), Seconds(20));
  EXPECT_EQ(lease.end(), Seconds(121));
  EXPECT_EQ(lease.length(), Seconds(20));
}

TEST(Lease, NothingIsGrantedByNoLength) {
  Lease lease;
  lease.Grant(Seconds(100), absl::ZeroDuration());
  lease.Grant(Seconds(101), Seconds(-5));
  EXPECT_FALSE(lease.ever_granted());
  EXPECT_FALSE(lease.Held(Seconds(100)));
}

}  // namespace
}  // namespace ember::agent
