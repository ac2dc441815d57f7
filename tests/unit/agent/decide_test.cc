#include "node-agent/supervise/decide.h"

#include <functional>

#include "gtest/gtest.h"

namespace ember::agent {
namespace {

// A workload that should run and does not.
Situation Down() {
  Situation situation;
  situation.want_run = true;
  situation.restart_limit = 3;
  return situation;
}

TEST(Decide, FollowsTheTable) {
  struct Row {
    const char* what;
    std::function<void(Situation&)> change;
    Decision down;     // when it does not run
    Decision running;  // when it does
  };
  const Row rows[] = {
      {"wanted", [](Situation&) {}, Decision::kStart, Decision::kNothing},
      {"no service", [](Situation& s) { s.has_service = false; }, Decision::kNothing,
       Decision::kNothing},
      {"held", [](Situation& s) { s.want_run = false; }, Decision::kNothing, Decision::kStop},
      {"restoring", [](Situation& s) { s.restoring = true; }, Decision::kNothing, Decision::kStop},
      {"old epoch", [](Situation& s) { s.epoch_current = false; }, Decision::kNothing,
       Decision::kNothing},
      {"data lost", [](Situation& s) { s.data_lost = true; }, Decision::kNothing,
       Decision::kNothing},
      {"self-fenced",
       [](Situation& s) {
         s.self_fence = s.fenced = true;
         s.gate_open = false;
       },
       Decision::kNothing, Decision::kStop},
      {"fenced, but it never fences itself",
       [](Situation& s) {
         s.fenced = true;
         s.gate_open = false;
       },
       Decision::kStart, Decision::kNothing},
      {"boot gate",
       [](Situation& s) {
         s.self_fence = true;
         s.gate_open = false;
       },
       Decision::kNothing, Decision::kNothing},
      {"boot gate, may have been moved",
       [](Situation& s) {
         s.may_be_elsewhere = true;
         s.gate_open = false;
       },
       Decision::kNothing, Decision::kNothing},
      {"boot gate, needs none", [](Situation& s) { s.gate_open = false; }, Decision::kStart,
       Decision::kNothing},
      {"third restart", [](Situation& s) { s.restarts = 3; }, Decision::kStart, Decision::kNothing},
      {"one too many", [](Situation& s) { s.restarts = 4; }, Decision::kGiveUp, Decision::kNothing},
      {"gave up",
       [](Situation& s) {
         s.restarts = 4;
         s.exhausted = true;
       },
       Decision::kNothing, Decision::kNothing},
      {"not yet", [](Situation& s) { s.restart_due = false; }, Decision::kNothing,
       Decision::kNothing},
      {"data lost counts before restarts",
       [](Situation& s) {
         s.data_lost = true;
         s.restarts = 9;
       },
       Decision::kNothing, Decision::kNothing},
      {"held and exhausted",
       [](Situation& s) {
         s.want_run = false;
         s.exhausted = true;
       },
       Decision::kNothing, Decision::kStop},
  };
  for (const Row& row : rows) {
    Situation situation = Down();
    row.change(situation);
    EXPECT_EQ(Decide(situation), row.down) << row.what << ", down";
    situation.running = true;
    EXPECT_EQ(Decide(situation), row.running) << row.what << ", running";
  }
}

}  // namespace
}  // namespace ember::agent
