#include "controller/recover/judge.h"

#include "gtest/gtest.h"

namespace ember::controller {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000000);

v1::WorkloadSpec Spec() {
  v1::WorkloadSpec spec;
  spec.mutable_health()->set_failures(3);
  return spec;
}

v1::WorkloadFact Fact(bool running, bool healthy, int failures) {
  v1::WorkloadFact fact;
  fact.set_running(running);
  fact.set_healthy(healthy);
  fact.set_probed(true);
  fact.set_consecutive_failures(failures);
  return fact;
}

Health Judge(const v1::WorkloadFact& fact) {
  return JudgeWorkload(Spec(), &fact, kNow, kNow).health;
}

TEST(Judge, NothingHeardIsUnknown) {
  EXPECT_EQ(JudgeWorkload(Spec(), nullptr, kNow, kNow).health, Health::kUnknown);
}

TEST(Judge, KMissesAreDeath) {
  EXPECT_EQ(Judge(Fact(true, true, 0)), Health::kHealthy);
  EXPECT_EQ(Judge(Fact(false, false, 1)), Health::kFailing);
  EXPECT_EQ(Judge(Fact(false, false, 2)), Health::kFailing);
  EXPECT_EQ(Judge(Fact(false, false, 3)), Health::kDead);
}

TEST(Judge, MissingDataIsDeathAtOnce) {
  v1::WorkloadFact fact = Fact(true, true, 0);
  fact.set_data_missing(true);
  EXPECT_EQ(Judge(fact), Health::kDead);
}

TEST(Judge, ExhaustedRestartsAreDeathAtOnce) {
  v1::WorkloadFact fact = Fact(false, false, 1);
  fact.set_restarts_exhausted(true);
  EXPECT_EQ(Judge(fact), Health::kDead);
}

TEST(Judge, NotProbedYetIsStarting) {
  v1::WorkloadFact fact = Fact(true, false, 0);
  fact.set_probed(false);
  EXPECT_EQ(Judge(fact), Health::kStarting);
}

TEST(Judge, AMissingApplicationHeartbeatIsDeath) {
  v1::WorkloadSpec spec = Spec();
  spec.mutable_health()->set_heartbeat_millis(10000);
  const v1::WorkloadFact fact = Fact(true, true, 0);
  EXPECT_EQ(JudgeWorkload(spec, &fact, kNow - absl::Seconds(29), kNow).health, Health::kHealthy);
  const WorkloadJudgement dead = JudgeWorkload(spec, &fact, kNow - absl::Seconds(31), kNow);
  EXPECT_EQ(dead.health, Health::kDead);
  EXPECT_EQ(dead.cause, "no heartbeat for 31s");
}

}  // namespace
}  // namespace ember::controller
