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
      {"self-fenced", [](Situation& s) { s.fenced = s.waits = true; }, Decision::kNothing,
       Decision::kStop},
      {"waits for the controller", [](Situation& s) { s.waits = true; }, Decision::kNothing,
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

TEST(Decide, WhatMayBeElsewhereWaits) {
  v1::WorkloadSpec exclusive;
  v1::WorkloadSpec with_standby;
  with_standby.mutable_recovery()->add_standby("host2");
  v1::WorkloadSpec stateless = with_standby;
  stateless.mutable_recovery()->set_class_(v1::RecoverySpec::STATELESS);
  struct Row {
    const char* what;
    const v1::WorkloadSpec& spec;
    bool self_fence;
    bool at_boot;            // nothing heard yet
    bool controller_silent;  // and it had its time
    bool leased;
  };
  const Row rows[] = {
      {"exclusive", exclusive, false, true, false, false},
      {"exclusive, fences itself", exclusive, true, true, true, false},
      {"exclusive with a standby", with_standby, false, true, true, false},
      {"stateless", stateless, false, false, false, false},
      {"stateless, fences itself", stateless, true, true, true, false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(WaitsForController(row.spec, row.self_fence, false, false), row.at_boot) << row.what;
    EXPECT_EQ(WaitsForController(row.spec, row.self_fence, false, true), row.controller_silent)
        << row.what;
    EXPECT_EQ(WaitsForController(row.spec, row.self_fence, true, true), row.leased) << row.what;
  }
}

}  // namespace
}  // namespace ember::agent
