// Scheduled backups for a time without a controller: reserved beforehand, recorded afterwards.
#include <set>

#include "tests/unit/controller/backup_run_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReservedBackups : public BackupRun {
 protected:
  // What n1 tells of a reserved backup that it began, and of one that the vault took.
  static v1::OrderUpdate RunningOffline(const v1::OfflineBackup& item) {
    v1::OrderUpdate update;
    update.set_order_id("offline/" + item.backup_id());
    update.set_state(v1::OrderUpdate::RUNNING);
    return update;
  }
  v1::OrderUpdate StoredOffline(const v1::OfflineBackup& item) {
    v1::OrderUpdate update = Stored(v1::Outcome::OK, 7);
    update.set_order_id("offline/" + item.backup_id());
    v1::BackupOrder backup;
    backup.set_backup_id(item.backup_id());
    backup.mutable_domain()->set_id("node-n1");
    *update.mutable_backup()->mutable_receipt() = ReceiptFor(backup, "db");
    return update;
  }
};

TEST_F(ReservedBackups, TheNextScheduledBackupsAreReservedForATimeWithoutAController)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  AddPolicy("weekly", "Mon 07:00", "far");
  const v1::OfflineBackups offline = Offline();
  ASSERT_EQ(offline.items_size(), 2 * kOfflineBackupsAhead);
  EXPECT_EQ(offline.domain().id(), "node-n1");
  EXPECT_FALSE(offline.domain().id_key().empty());
  std::set<std::string> ids;
  for (const v1::OfflineBackup& item : offline.items()) {
    ids.insert(item.backup_id());
    EXPECT_GT(rpc::FromTimestamp(item.due()), clock_.Now());
    v1::Grant needed;
    needed.set_node("n1");
    needed.set_workload("db");
    needed.set_epoch(em_->catalog->workloads().at("db").epoch());
    needed.set_vault(item.policy() == "daily" ? "near" : "far");
    needed.set_backup_id(item.backup_id());
    EXPECT_OK(rpc::CheckGrant(em_->keys->ca_pem(), item.grant(), needed));
    EXPECT_EQ(item.vault().address(), "10.0.0.1:7444");
  }
  EXPECT_EQ(ids.size(), 2u * kOfflineBackupsAhead) << "also where two are due at once";
  const std::string before = Offline().SerializeAsString();
  Tick();
  EXPECT_EQ(Offline().SerializeAsString(), before) << "nothing is signed anew without need";
}

TEST_F(ReservedBackups, WhatTheControllerRunsItselfIsReservedNoMore)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  const v1::OfflineBackup first = Offline().items(0);
  clock_.Advance(absl::Hours(24));
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::RUNNING);
  Tick();
  const v1::OfflineBackups offline = Offline();
  EXPECT_EQ(offline.items_size(), kOfflineBackupsAhead) << "one more at the end";
  EXPECT_NE(offline.items(0).backup_id(), first.backup_id());
  rec::WorkloadRecord moved = em_->catalog->workloads().at("db");
  moved.set_epoch(moved.epoch() + 1);
  Put(moved);
  EXPECT_EQ(Offline().items_size(), 0) << "of an earlier placement nothing holds";
  Tick();
  EXPECT_EQ(Offline().items_size(), kOfflineBackupsAhead);
}

TEST_F(ReservedBackups, ABackupMadeWithoutTheControllerIsRecordedAfterwards)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  const v1::OfflineBackup item = Offline().items(0);
  clock_.Advance(rpc::FromTimestamp(item.due()) - clock_.Now() + absl::Minutes(10));
  const v1::OrderUpdate update = StoredOffline(item);
  Beat("nas1", update);
  EXPECT_THAT(Runs(), IsEmpty()) << "another node cannot have made it";
  Beat("n1", update);
  Tick();
  const v1::Run run = Only();
  EXPECT_EQ(run.outcome(), v1::Outcome::OK) << run.error();
  EXPECT_EQ(run.backup_id(), item.backup_id());
  EXPECT_THAT(GoodIds(), ElementsAre(item.backup_id()));
  EXPECT_THAT(Shown(item.backup_id()).reason(), HasSubstr("while the controller was away"));
  Beat("n1", update);
  Tick();
  EXPECT_EQ(Runs().size(), 1u) << "told twice, recorded once; and its due time needs no other run";
  EXPECT_EQ(em_->catalog->orders().size(), 0u);
}

// Only its link is cut: the controller is there, and has a run for the same due time.
TEST_F(ReservedBackups, ABackupMadeBehindACutLinkIsThatOfTheRunThatWaits)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  const v1::OfflineBackup item = Offline().items(0);
  SetNode("n1", v1::NodeState::UNREACHABLE);
  clock_.Advance(rpc::FromTimestamp(item.due()) - clock_.Now() + absl::Minutes(10));
  Tick();
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::PENDING);
  const v1::OrderUpdate update = StoredOffline(item);
  // A controller that has no room to record it does not say that it has heard.
  v1::HeartbeatRequest beat;
  *beat.add_orders() = update;
  EXPECT_EQ(controller::ComposeReply(*em_, "n1", beat).acknowledged_orders_size(), 0);
  SetNode("n1", v1::NodeState::ALIVE);
  Beat("n1", update);
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::OK);
  EXPECT_THAT(GoodIds(), ElementsAre(item.backup_id()));
}

TEST_F(ReservedBackups, ABackupOfANodeThatWasTakenForDeadMeanwhileIsFound)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  const v1::OfflineBackup item = Offline().items(0);
  clock_.Advance(rpc::FromTimestamp(item.due()) - clock_.Now() + absl::Minutes(10));
  Beat("n1", RunningOffline(item));
  SetNode("n1", v1::NodeState::DEAD);
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::FAILED);
  Beat("n1", StoredOffline(item));
  EXPECT_THAT(GoodIds(), ElementsAre(item.backup_id()));
}

TEST_F(ReservedBackups, ABackupThatFailedWithoutTheControllerIsTriedAgainWithIt)
ABSL_NO_THREAD_SAFETY_ANALYSIS {
  AddPolicy("daily", "*-*-* 07:00", "near");
  const v1::OfflineBackup item = Offline().items(0);
  clock_.Advance(rpc::FromTimestamp(item.due()) - clock_.Now() + absl::Minutes(10));
  const v1::OrderUpdate update = RunningOffline(item);
  Beat("n1", update);
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::RUNNING);
  v1::OrderUpdate failed = Failed(Code::kUnavailable);
  failed.set_order_id(update.order_id());
  Beat("n1", failed);
  Tick();
  EXPECT_EQ(Only().outcome(), v1::Outcome::PENDING);
  Hear();
  WaitForRetry();
  EXPECT_EQ(Only().outcome(), v1::Outcome::RUNNING);
  Answer(Stored(v1::Outcome::OK, 7));
  EXPECT_EQ(Only().outcome(), v1::Outcome::OK);
}

}  // namespace
}  // namespace ember::testing
