#include "node-agent/orders/runner.h"

#include <filesystem>
#include <map>
#include <set>

#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::Eventually;

v1::Order Make(const std::string& id, const std::string& workload, uint64_t epoch = 1) {
  v1::Order order;
  order.set_id(id);
  order.set_workload(workload);
  order.set_epoch(epoch);
  return order;
}
v1::Order BackupOf(const std::string& id, const std::string& workload, uint64_t epoch = 1) {
  v1::Order order = Make(id, workload, epoch);
  order.mutable_backup();
  return order;
}
v1::Order StartOf(const std::string& id, const std::string& workload, uint64_t epoch = 1) {
  v1::Order order = Make(id, workload, epoch);
  order.mutable_start();
  return order;
}
v1::Order StopOf(const std::string& id, const std::string& workload) {
  v1::Order order = Make(id, workload);
  order.mutable_stop();
  return order;
}
v1::Order RestoreOf(const std::string& id, const std::string& workload,
                    const std::string& directory = "") {
  v1::Order order = Make(id, workload);
  order.mutable_restore()->set_target_directory(directory);
  return order;
}

v1::Order FenceOf(const std::string& id, const std::string& node) {
  v1::Order order;
  order.set_id(id);
  order.mutable_fence()->set_node(node);
  return order;
}
v1::Order VaultJobOf(const std::string& id, const std::string& vault) {
  v1::Order order = Make(id, "", 0);
  order.mutable_vault()->set_vault(vault);
  order.mutable_vault()->mutable_gc();
  return order;
}

TEST(OrderQueue, ConflictsFollowTheTable) {
  struct Row {
    const char* what;
    v1::Order a, b;
    bool conflict;
  };
  const Row rows[] = {
      {"two backups", BackupOf("1", "db"), BackupOf("2", "db"), true},
      {"backups of two workloads", BackupOf("1", "db"), BackupOf("2", "web"), false},
      {"start during a backup", BackupOf("1", "db"), StartOf("2", "db"), false},
      {"start during an in-place restore", RestoreOf("1", "db"), StartOf("2", "db"), true},
      {"start during a restore elsewhere", RestoreOf("1", "db", "/tmp/x"), StartOf("2", "db"),
       false},
      {"stop during an in-place restore", RestoreOf("1", "db"), StopOf("2", "db"), false},
      {"stop and start", StopOf("1", "db"), StartOf("2", "db"), true},
      {"two jobs of one vault", VaultJobOf("1", "nas"), VaultJobOf("2", "nas"), true},
      {"jobs of two vaults", VaultJobOf("1", "nas"), VaultJobOf("2", "usb"), false},
      {"two fences of one node", FenceOf("1", "host2"), FenceOf("2", "host2"), true},
      {"fences of two nodes", FenceOf("1", "host2"), FenceOf("2", "host3"), false},
      {"a fence during a restore", RestoreOf("1", ""), FenceOf("2", "host2"), false},
      {"a job of a vault during a backup", BackupOf("1", "nas"), VaultJobOf("2", "nas"), false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Conflict(row.a, row.b), row.conflict) << row.what;
    EXPECT_EQ(Conflict(row.b, row.a), row.conflict) << row.what << ", reversed";
  }
}

TEST(OrderQueue, AStartWaitsForTheRestoreBeforeIt) {
  OrderQueue queue;
  queue.Push(RestoreOf("r", "db"));
  queue.Push(StartOf("s", "db"));
  EXPECT_FALSE(queue.HasNext(Lane::kPrompt));
  EXPECT_EQ(queue.Next(Lane::kLong)->id(), "r");
  EXPECT_FALSE(queue.HasNext(Lane::kPrompt));
  queue.Finished("r");
  EXPECT_EQ(queue.Next(Lane::kPrompt)->id(), "s");
  EXPECT_EQ(queue.Next(Lane::kPrompt), std::nullopt);
}

TEST(OrderQueue, JobsOfVaultsHoldUpNoRestore) {
  OrderQueue queue;
  for (const char* vault : {"nas", "usb"}) queue.Push(VaultJobOf(vault, vault));
  queue.Push(RestoreOf("r", "db"));
  EXPECT_EQ(queue.Next(Lane::kLong)->id(), "r");
  EXPECT_EQ(queue.Next(Lane::kLong), std::nullopt);
  EXPECT_EQ(queue.Next(Lane::kVault)->id(), "nas");
  EXPECT_EQ(queue.Next(Lane::kVault)->id(), "usb");
}

TEST(OrderQueue, OtherWorkloadsPassABlockedOne) {
  OrderQueue queue;
  queue.Push(BackupOf("1", "db"));
  queue.Push(BackupOf("2", "db"));
  queue.Push(BackupOf("3", "web"));
  EXPECT_EQ(queue.Next(Lane::kLong)->id(), "1");
  EXPECT_EQ(queue.Next(Lane::kLong)->id(), "3");
  EXPECT_EQ(queue.Next(Lane::kLong), std::nullopt);
  EXPECT_EQ(queue.Remove("2")->id(), "2");
  EXPECT_EQ(queue.Remove("1"), std::nullopt) << "it runs";
}

// Does what the test says; blocks orders until let go or cancelled.
class FakeActions : public OrderActions {
 public:
  void Accepted(const v1::Order& order) override {
    absl::MutexLock lock(&mu_);
    accepted.insert(order.id());
  }
  void Over(const v1::Order& order, bool begun) override {
    absl::MutexLock lock(&mu_);
    over[order.id()] = begun;
  }
  absl::Status Do(const v1::Order& order, const OrderContext& context,
                  v1::OrderUpdate* update) override {
    {
      absl::MutexLock lock(&mu_);
      done.push_back(order.id());
    }
    while (blocked(order.id())) {
      if (*context.cancelled) return absl::CancelledError("cancelled");
      const absl::Notification never;
      SystemClock()->Sleep(absl::Milliseconds(2), never);
    }
    if (order.id() == "damaged") {
      update->mutable_verify()->set_damaged_total(3);
      return absl::DataLossError("it is damaged");
    }
    if (order.id() == "bad") return absl::UnavailableError("the vault does not answer");
    update->mutable_backup()->set_files(42);
    return absl::OkStatus();
  }
  void Block(const std::string& id) {
    absl::MutexLock lock(&mu_);
    blocked_.insert(id);
  }
  void LetGo(const std::string& id) {
    absl::MutexLock lock(&mu_);
    blocked_.erase(id);
  }
  int times(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return static_cast<int>(std::count(done.begin(), done.end(), id));
  }
  bool is_over(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return over.contains(id);
  }
  bool begun(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return over.at(id);
  }

 private:
  bool blocked(const std::string& id) {
    absl::MutexLock lock(&mu_);
    return blocked_.contains(id);
  }
  absl::Mutex mu_;
  std::set<std::string> accepted ABSL_GUARDED_BY(mu_);
  std::map<std::string, bool> over ABSL_GUARDED_BY(mu_);
  std::vector<std::string> done ABSL_GUARDED_BY(mu_);
  std::set<std::string> blocked_ ABSL_GUARDED_BY(mu_);
};

class RunnerTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }
  // As after the agent ended and started again.
  void Restart() {
    runner_ = nullptr;
    ledger_ = nullptr;
    ledger_ = Ledger::Open(dir_.Join("orders")).value();
    epochs_ = Epochs::Open(dir_.Join("epochs")).value();
    runner_ = std::make_unique<OrderRunner>(OrderRunner::Ports{
        SystemClock(), ledger_.get(), epochs_.get(), &actions_, [this] { ++urges_; }});
    runner_->Run();
  }
  void Give(const v1::Order& order) {
    EXPECT_OK(runner_->Accept(order));
    runner_->Release();
  }
  v1::OrderUpdate UpdateOf(const std::string& id) {
    for (const v1::OrderUpdate& update : ledger_->Updates()) {
      if (update.order_id() == id) return update;
    }
    return v1::OrderUpdate();
  }
  void ExpectEnds(const std::string& id, v1::OrderUpdate::State state, absl::StatusCode code) {
    ASSERT_TRUE(Eventually([&] { return actions_.is_over(id); })) << id;
    EXPECT_EQ(UpdateOf(id).state(), state) << UpdateOf(id).DebugString();
    EXPECT_EQ(UpdateOf(id).code(), static_cast<int>(code));
  }

  testing::TempDir dir_;
  FakeActions actions_;
  std::atomic<int> urges_{0};
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Epochs> epochs_;
  std::unique_ptr<OrderRunner> runner_;
};

TEST_F(RunnerTest, AResultIsDurableUrgentAndGivenOnce) {
  Give(BackupOf("a", "db"));
  ExpectEnds("a", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_EQ(UpdateOf("a").backup().files(), 42);
  EXPECT_GE(urges_, 1);
  Give(BackupOf("a", "db"));
  Restart();
  Give(BackupOf("a", "db"));
  Give(BackupOf("b", "db"));
  ExpectEnds("b", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_EQ(actions_.times("a"), 1);
  EXPECT_EQ(UpdateOf("a").backup().files(), 42) << "the stored result answers the repeat";
}

TEST_F(RunnerTest, AFailureKeepsItsCodeAndText) {
  Give(BackupOf("bad", "db"));
  ExpectEnds("bad", v1::OrderUpdate::FAILED, absl::StatusCode::kUnavailable);
  EXPECT_EQ(UpdateOf("bad").error(), "the vault does not answer");
}

TEST_F(RunnerTest, WhatWasFoundBeforeAFailureIsKept) {
  Give(BackupOf("damaged", "db"));
  ExpectEnds("damaged", v1::OrderUpdate::FAILED, absl::StatusCode::kDataLoss);
  EXPECT_EQ(UpdateOf("damaged").verify().damaged_total(), 3);
}

TEST_F(RunnerTest, NothingRunsBeforeRelease) {
  ASSERT_OK(runner_->Accept(BackupOf("a", "db")));
  Give(BackupOf("b", "web"));  // releases both
  ExpectEnds("a", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  ASSERT_OK(runner_->Accept(BackupOf("c", "db")));
  EXPECT_EQ(UpdateOf("c").state(), v1::OrderUpdate::ACCEPTED);
  EXPECT_EQ(actions_.times("c"), 0);
}

TEST_F(RunnerTest, AnOldEpochIsRefusedWithoutBeingTried) {
  Give(StartOf("new", "db", 5));
  ExpectEnds("new", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  Give(StartOf("old", "db", 4));
  ExpectEnds("old", v1::OrderUpdate::FAILED, absl::StatusCode::kAborted);
  EXPECT_EQ(actions_.times("old"), 0);
  EXPECT_FALSE(actions_.begun("old"));
  Give(VaultJobOf("gc", "nas"));
  ExpectEnds("gc", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  v1::Order verify = Make("verify", "db", 0);
  verify.mutable_verify();
  Give(verify);
  ExpectEnds("verify", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
}

TEST_F(RunnerTest, AStopIsNotDelayedByALongBackup) {
  actions_.Block("backup");
  Give(BackupOf("backup", "db"));
  Give(StopOf("stop", "db"));
  ExpectEnds("stop", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_FALSE(actions_.is_over("backup"));
  actions_.LetGo("backup");
  ExpectEnds("backup", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
}

TEST_F(RunnerTest, CancellingEndsAWaitingAndARunningOrder) {
  actions_.Block("running");
  Give(BackupOf("running", "db"));
  ASSERT_TRUE(Eventually([&] { return actions_.times("running") == 1; }));
  Give(BackupOf("waiting", "db"));
  runner_->Cancel("waiting");
  ExpectEnds("waiting", v1::OrderUpdate::FAILED, absl::StatusCode::kCancelled);
  runner_->Cancel("running");
  ExpectEnds("running", v1::OrderUpdate::FAILED, absl::StatusCode::kCancelled);
  EXPECT_EQ(actions_.times("waiting"), 0);
  runner_->Cancel("unknown");
}

// Beats come from the thread that cancels.
TEST_F(RunnerTest, ACancellationThatCannotBeStoredHoldsNobodyUpAndIsDoneLater) {
  actions_.Block("running");
  Give(BackupOf("running", "db"));
  ASSERT_TRUE(Eventually([&] { return actions_.times("running") == 1; }));
  Give(BackupOf("waiting", "db"));
  std::filesystem::rename(dir_.Join("orders"), dir_.Join("away"));
  runner_->Cancel("waiting");
  EXPECT_FALSE(actions_.is_over("waiting"));
  std::filesystem::rename(dir_.Join("away"), dir_.Join("orders"));
  runner_->Cancel("waiting");
  ExpectEnds("waiting", v1::OrderUpdate::FAILED, absl::StatusCode::kCancelled);
  actions_.LetGo("running");
  ExpectEnds("running", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_EQ(actions_.times("waiting"), 0);
}

TEST_F(RunnerTest, WhatTheEndOfTheAgentInterruptsIsDoneAgain) {
  actions_.Block("a");
  Give(BackupOf("a", "db"));
  ASSERT_TRUE(Eventually([&] { return actions_.times("a") == 1; }));
  Restart();
  EXPECT_EQ(ledger_->OpenOrders().size(), 1u) << "an interrupted order has not failed";
  EXPECT_FALSE(actions_.is_over("a"));
  actions_.LetGo("a");
  runner_->Release();
  ExpectEnds("a", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_EQ(actions_.times("a"), 2);
}

TEST_F(RunnerTest, AnOrderOfItsOwnWaitsForNobodysWordAlsoAfterARestart) {
  v1::Order own = BackupOf("own", "db");
  own.set_offline(true);
  actions_.Block("own");
  ASSERT_OK(runner_->Begin(own));
  ASSERT_OK(runner_->Begin(own));
  ASSERT_TRUE(Eventually([&] { return actions_.times("own") == 1; }));
  ASSERT_OK(runner_->Accept(BackupOf("given", "web")));
  Restart();
  actions_.LetGo("own");
  ExpectEnds("own", v1::OrderUpdate::DONE, absl::StatusCode::kOk);
  EXPECT_EQ(actions_.times("own"), 2);
  EXPECT_EQ(actions_.times("given"), 0) << "that one needs the controller's word";
}

}  // namespace
}  // namespace ember::agent
