// Who is moved when, and what a node was left with.
#include "controller/recover/moves.h"

#include "controller/protect/orphans.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"
#include "tests/unit/controller/backup_run_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// db, which runs on its home n1 and may go to nas1.
class Moves : public BackupRun {
 protected:
  Moves() {
    spec()->mutable_recovery()->add_standby("nas1");
    PutEstate();
    rec::WorkloadRecord workload = Db();
    workload.set_epoch(1);
    workload.set_state(v1::WorkloadState::RUNNING);
    Put(workload);
    Hear();
    Tell("n1", true);
  }
  v1::WorkloadSpec* spec() { return estate_.mutable_estate()->mutable_workloads(0); }
  void PutEstate() {
    estate_.set_version(estate_.version() + 1);
    Put(estate_);
    Hear();
  }
  rec::WorkloadRecord Db() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->workloads().at("db");
  }
  // What the agent of `node` says of db.
  void Tell(const std::string& node, bool running) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::HeardWorkload& heard = em_->board.nodes[node].workloads["db"];
    heard.fact.set_workload("db");
    heard.fact.set_epoch(Db().epoch());
    heard.fact.set_running(running);
    heard.fact.set_probed(running);
    heard.fact.set_healthy(running);
  }
  absl::Status Move(const std::string& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    const auto move = controller::BeginMove(*em_, "db", node, "asked by admin", &batch);
    return move.ok() ? em_->Commit(batch) : move.status();
  }
  void Due() ABSL_NO_THREAD_SAFETY_ANALYSIS { ASSERT_OK(controller::BeginDueMoves(*em_)); }
  void Keep() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    ASSERT_OK(controller::KeepOrphans(*em_));
    Hear();
    Tick();
  }
  const rec::RecoveryRecord* Open() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return controller::OpenRecoveryOf(*em_, "db");
  }
  // Ends the open recovery where it is.
  void End() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::RecoveryRecord record = *Open();
    record.mutable_recovery()->set_state(v1::RecoveryState::CANCELLED);
    Put(record);
    rec::WorkloadRecord workload = Db();
    workload.set_state(v1::WorkloadState::RUNNING);
    Put(workload);
  }
  void Drain(const std::string& name, bool on) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::NodeRecord node = em_->catalog->nodes().at(name);
    node.clear_drained();
    if (on) *node.mutable_drained() = rpc::ToTimestamp(clock_.Now());
    Put(node);
  }
  // As after a fail-over from its home, which died with data in it.
  void FailOver() {
    rec::WorkloadRecord workload = Db();
    workload.set_node("nas1");
    workload.set_epoch(2);
    rec::LeftData* left = workload.add_left();
    left->set_node("n1");
    left->set_recovery("r-7");
    Put(workload);
    Tell("nas1", true);
  }
  std::vector<std::string> Left() {
    std::vector<std::string> lines;
    const rec::WorkloadRecord db = Db();
    for (const rec::LeftData& left : db.left())
      lines.push_back(absl::StrCat(left.node(), " ", left.backup_id().empty() ? "-" : "kept", " ",
                                   left.attempts()));
    return lines;
  }
};

TEST_F(Moves, APersonMovesItOnceAndBackHome) {
  ASSERT_OK(Move("nas1"));
  ASSERT_NE(Open(), nullptr);
  EXPECT_TRUE(Open()->recovery().planned());
  EXPECT_EQ(Open()->recovery().target(), "nas1");
  EXPECT_EQ(Db().state(), v1::WorkloadState::RECOVERING);
  EXPECT_THAT(Move("nas1"), HasCode(Code::kFailedPrecondition));
  End();
  EXPECT_THAT(Move(""), HasCode(Code::kFailedPrecondition)) << "it is at home";
}

TEST_F(Moves, WhatCannotBeDoneIsRefusedWithTheReason) {
  const auto why = [this](const std::string& node)
                       ABSL_NO_THREAD_SAFETY_ANALYSIS { return std::string(Move(node).message()); };
  EXPECT_THAT(why("n1"), HasSubstr("it is on n1 already"));
  EXPECT_THAT(Move("n9"), HasCode(Code::kNotFound));
  AddNode("n3");
  EXPECT_THAT(why("n3"), HasSubstr("n3 is not one of its nodes (n1, nas1)"));
  SetNode("nas1", v1::NodeState::SUSPECT);
  EXPECT_THAT(why("nas1"), HasSubstr("nas1 is not ALIVE"));
  SetNode("nas1", v1::NodeState::ALIVE);
  Drain("nas1", true);
  EXPECT_THAT(why("nas1"), HasSubstr("it is drained"));
  Drain("nas1", false);
  rec::WorkloadRecord workload = Db();
  workload.set_held(true);
  Put(workload);
  EXPECT_THAT(why("nas1"), HasSubstr("it is held"));
  workload.set_held(false);
  workload.set_state(v1::WorkloadState::ESCALATED);
  Put(workload);
  EXPECT_THAT(why("nas1"), HasSubstr("it is ESCALATED, and only what runs well is moved"));
  workload.set_state(v1::WorkloadState::RUNNING);
  Put(workload);
  rec::FreezeRecord freeze;
  freeze.set_frozen(true);
  Put(freeze);
  EXPECT_THAT(why("nas1"), HasSubstr("the estate is frozen"));
}

TEST_F(Moves, ADrainMovesItOnceAndTellsWhatStays) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Drain("n1", true);
  std::vector<v1::DrainStep> plan = controller::DrainPlan(*em_, "n1");
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].target(), "nas1");
  Due();
  ASSERT_NE(Open(), nullptr);
  EXPECT_EQ(Open()->recovery().cause(), "node n1 is drained");
  plan = controller::DrainPlan(*em_, "n1");
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].target(), "nas1") << "it is on its way: " << plan[0].reason();
  End();
  Due();
  EXPECT_EQ(Open(), nullptr) << "what failed is not tried again by itself";
  clock_.Advance(absl::Seconds(1));
  Drain("n1", true);
  Due();
  EXPECT_NE(Open(), nullptr) << "drained again";
  End();
  spec()->mutable_recovery()->clear_standby();
  PutEstate();
  plan = controller::DrainPlan(*em_, "n1");
  EXPECT_EQ(plan[0].target(), "");
  EXPECT_THAT(plan[0].reason(), HasSubstr("it has no standby node"));
}

TEST_F(Moves, ItGoesHomeWhenThatHasBeenWellForLongAndWhatWasLeftThereIsKept) {
  FailOver();
  spec()->mutable_recovery()->set_fail_back_seconds(600);
  PutEstate();
  SetNode("n1", v1::NodeState::DEAD);
  Due();
  EXPECT_EQ(Open(), nullptr);
  rec::NodeRecord home;
  home.set_name("n1");
  home.set_state(v1::NodeState::ALIVE);
  *home.mutable_state_since() = rpc::ToTimestamp(clock_.Now());
  Put(home);
  clock_.Advance(absl::Seconds(601));
  Due();
  EXPECT_EQ(Open(), nullptr) << "what is there is not kept yet";
  rec::WorkloadRecord workload = Db();
  workload.mutable_left(0)->set_backup_id("db/20260101-000000");
  Put(workload);
  Due();
  ASSERT_NE(Open(), nullptr);
  EXPECT_EQ(Open()->recovery().target(), "n1");
  End();
  Due();
  EXPECT_EQ(Open(), nullptr) << "once for each time that the home comes back";
}

TEST_F(Moves, WhatANodeWasLeftWithIsKeptWhenItIsBackAndCountsForNothingElse) {
  Ask();
  Answer(Stored(v1::Outcome::OK, 10));
  const std::vector<std::string> good = GoodIds();
  ASSERT_EQ(good.size(), 1u);
  FailOver();
  SetNode("n1", v1::NodeState::DEAD);
  Keep();
  EXPECT_EQ(OpenRuns(), 0u);
  SetNode("n1", v1::NodeState::ALIVE);
  Tell("n1", true);
  Keep();
  EXPECT_EQ(OpenRuns(), 0u) << "it still runs there";
  Tell("n1", false);
  Keep();
  const v1::Order order = Order();
  EXPECT_EQ(order.epoch(), 2u) << "of the placement now: no other agent may make it";
  EXPECT_EQ(order.backup().domain().id(), "node-n1");
  EXPECT_EQ(Shown(order.backup().backup_id()).node(), "n1");
  Answer(Stored(v1::Outcome::OK, 12));
  Keep();
  EXPECT_THAT(Left(), ElementsAre("n1 kept 1"));
  EXPECT_TRUE(Shown(order.backup().backup_id()).orphan());
  EXPECT_EQ(GoodIds(), good) << "no recovery restores it";
  EXPECT_EQ(LastGood(), good[0]);
  EXPECT_THAT(Alarms(), IsEmpty());
  Keep();
  EXPECT_EQ(OpenRuns(), 0u) << "once";
}

TEST_F(Moves, WhatANodeWasLeftWithWaitsForAVault) {
  FailOver();
  SetNode("n1", v1::NodeState::ALIVE);
  Tell("n1", false);
  SetNode("nas1", v1::NodeState::SUSPECT);
  for (int i = 0; i < 10; ++i) {
    Keep();
    EXPECT_EQ(OpenRuns(), 1u);
    clock_.Advance(absl::Seconds(kOrphanRetrySeconds * 8));
  }
  SetNode("nas1", v1::NodeState::ALIVE);
  Keep();
  Answer(Stored(v1::Outcome::OK, 12));
  Keep();
  EXPECT_THAT(Left(), ElementsAre("n1 kept 1"));
}

TEST_F(Moves, WhatCannotBeKeptIsTriedAgainAndThenAPersonIsTold) {
  FailOver();
  Tell("n1", false);
  for (int i = 0; i < kOrphanAttemptsMax; ++i) {
    Keep();
    ASSERT_EQ(OpenRuns(), 1u) << i;
    Answer(Failed(Code::kFailedPrecondition));
    Keep();
    EXPECT_EQ(OpenRuns(), 0u) << "not at once";
    clock_.Advance(absl::Seconds(kOrphanRetrySeconds * 8));
  }
  Keep();
  EXPECT_EQ(OpenRuns(), 0u);
  EXPECT_THAT(Left(), ElementsAre(absl::StrCat("n1 - ", kOrphanAttemptsMax)));
  EXPECT_THAT(Alarms(), ::testing::Contains(HasSubstr("what n1 was left with is not kept")));
}

TEST_F(Moves, WhatIsStartedIsEnoughForThoseThatAskForNoMore) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  v1::WorkloadSpec app;
  app.add_depends_on("db");
  EXPECT_TRUE(controller::IsMet(*em_, app, "db"));
  rec::WorkloadRecord db = Db();
  db.set_state(v1::WorkloadState::SUSPECT);
  Put(db);
  EXPECT_FALSE(controller::IsMet(*em_, app, "db"));
  app.add_starts_after("db");
  EXPECT_TRUE(controller::IsMet(*em_, app, "db"));
  Tell("n1", false);
  EXPECT_FALSE(controller::IsMet(*em_, app, "db"));
  Tell("n1", true);
  db.set_epoch(2);
  Put(db);
  EXPECT_FALSE(controller::IsMet(*em_, app, "db")) << "that was its earlier placement";
}

}  // namespace
}  // namespace ember::testing
