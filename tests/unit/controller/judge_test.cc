#include "controller/recover/judge.h"

#include "gtest/gtest.h"

namespace ember::controller {
namespace {

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

Health Judge(const v1::WorkloadFact& fact) { return JudgeWorkload(Spec(), &fact, {}).health; }

TEST(Judge, NothingHeardIsUnknown) {
  EXPECT_EQ(JudgeWorkload(Spec(), nullptr, {}).health, Health::kUnknown);
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

TEST(Judge, AnApplicationsBeatsDecide) {
  struct {
    const char* what;
    v1::WorkloadFact fact;
    ApplicationBeat beat;
    Health health;
    const char* cause;
  } const table[] = {
      {"beats", Fact(true, true, 0), {true, absl::Seconds(9)}, Health::kHealthy, ""},
      {"misses two", Fact(true, true, 0), {true, absl::Seconds(29)}, Health::kHealthy, ""},
      {"misses three",
       Fact(true, true, 0),
       {true, absl::Seconds(31)},
       Health::kDead,
       "no heartbeat for 31s"},
      {"runs, no beat yet", Fact(true, true, 0), {false, absl::Seconds(29)}, Health::kStarting, ""},
      {"never beat in time",
       Fact(true, true, 0),
       {false, absl::Seconds(31)},
       Health::kDead,
       "no heartbeat for 31s"},
      {"is stopped: its probes count",
       Fact(false, false, 1),
       {false, absl::Hours(9)},
       Health::kFailing,
       "down"},
      {"its probe fails though it beats",
       Fact(true, false, 3),
       {true, absl::Seconds(1)},
       Health::kDead,
       "3 probes failed: down"},
  };
  v1::WorkloadSpec spec = Spec();
  spec.mutable_health()->set_heartbeat_millis(10000);
  for (auto row : table) {
    if (row.fact.consecutive_failures() > 0) row.fact.set_probe_message("down");
    const WorkloadJudgement judgement = JudgeWorkload(spec, &row.fact, row.beat);
    EXPECT_EQ(judgement.health, row.health) << row.what;
    EXPECT_EQ(judgement.cause, row.cause) << row.what;
  }
}

}  // namespace
}  // namespace ember::controller
