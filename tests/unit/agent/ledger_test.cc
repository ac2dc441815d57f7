#include "node-agent/orders/ledger.h"

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "node-agent/orders/epochs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::HasCode;
using testing::TempDir;

v1::Order Backup(const std::string& id) {
  v1::Order order;
  order.set_id(id);
  order.set_workload("db");
  order.mutable_backup()->mutable_domain()->set_id_key("secret");
  return order;
}

v1::OrderUpdate Done(const std::string& id, int64_t files) {
  v1::OrderUpdate update;
  update.set_order_id(id);
  update.set_state(v1::OrderUpdate::DONE);
  update.mutable_backup()->set_files(files);
  return update;
}

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    ledger_ = nullptr;
    absl::StatusOr<std::unique_ptr<Ledger>> opened = Ledger::Open(dir_.Join("orders"));
    ASSERT_OK(opened);
    ledger_ = *std::move(opened);
  }
  bool Accept(const std::string& id) {
    absl::StatusOr<bool> is_new = ledger_->Accept(Backup(id));
    EXPECT_OK(is_new);
    return is_new.ok() && *is_new;
  }

  TempDir dir_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, AnAcceptedOrderSurvivesARestartAndIsStillOpen) {
  EXPECT_TRUE(Accept("run-1/db/backup/1"));
  Reopen();
  ASSERT_EQ(ledger_->OpenOrders().size(), 1u);
  EXPECT_EQ(ledger_->OpenOrders()[0].backup().domain().id_key(), "secret");
  EXPECT_EQ(ledger_->Updates()[0].state(), v1::OrderUpdate::ACCEPTED);
}

TEST_F(LedgerTest, AResultIsReportedUntilAcknowledgedAlsoAfterARestart) {
  Accept("a");
  ASSERT_OK(ledger_->Finish(Done("a", 7)));
  Reopen();
  EXPECT_TRUE(ledger_->OpenOrders().empty());
  ASSERT_EQ(ledger_->Updates().size(), 1u);
  EXPECT_EQ(ledger_->Updates()[0].backup().files(), 7);
  ASSERT_OK(ledger_->Acknowledge("a"));
  EXPECT_TRUE(ledger_->Updates().empty());
  Reopen();
  EXPECT_TRUE(ledger_->Updates().empty());
}

TEST_F(LedgerTest, ARepeatIsNotNewWhateverItsState) {
  EXPECT_TRUE(Accept("a"));
  EXPECT_FALSE(Accept("a"));
  ASSERT_OK(ledger_->Finish(Done("a", 7)));
  EXPECT_FALSE(Accept("a"));
  ASSERT_OK(ledger_->Acknowledge("a"));
  Reopen();
  EXPECT_FALSE(Accept("a"));
  ASSERT_EQ(ledger_->Updates().size(), 1u) << "its state is told again";
  EXPECT_EQ(ledger_->Updates()[0].state(), v1::OrderUpdate::DONE);
  ASSERT_OK(ledger_->Acknowledge("a"));
  EXPECT_TRUE(ledger_->Updates().empty());
}

TEST_F(LedgerTest, SecretsAreForgottenOnceTheResultIsAcknowledged) {
  Accept("a");
  ASSERT_OK(ledger_->Finish(Done("a", 7)));
  ASSERT_OK(ledger_->Acknowledge("a"));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ListDirectory(dir_.Join("orders")));
  ASSERT_EQ(names.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(JoinPath(dir_.Join("orders"), names[0])));
  EXPECT_EQ(bytes.find("secret"), std::string::npos);
}

TEST_F(LedgerTest, OnlyOpenOrdersFinishAndOnlyFinishedOnesAreAcknowledged) {
  EXPECT_THAT(ledger_->Finish(Done("never", 1)), HasCode(absl::StatusCode::kNotFound));
  Accept("a");
  ASSERT_OK(ledger_->Acknowledge("a"));
  EXPECT_EQ(ledger_->OpenOrders().size(), 1u) << "an early acknowledgement loses nothing";
  ASSERT_OK(ledger_->Finish(Done("a", 1)));
  EXPECT_THAT(ledger_->Finish(Done("a", 2)), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(ledger_->Updates()[0].backup().files(), 1);
  EXPECT_OK(ledger_->Acknowledge("unknown"));
}

TEST_F(LedgerTest, ProgressShowsOnlyWhileOpen) {
  Accept("a");
  v1::Progress progress;
  progress.set_files(3);
  ledger_->Report("a", progress);
  EXPECT_EQ(ledger_->Updates()[0].state(), v1::OrderUpdate::RUNNING);
  EXPECT_EQ(ledger_->Updates()[0].progress().files(), 3);
  ASSERT_OK(ledger_->Finish(Done("a", 1)));
  ledger_->Report("a", progress);
  EXPECT_EQ(ledger_->Updates()[0].state(), v1::OrderUpdate::DONE);
}

TEST_F(LedgerTest, OrdersKeepTheirSequenceAndResultsComeFirst) {
  for (const char* id : {"z", "a", "m"}) Accept(id);
  ASSERT_OK(ledger_->Finish(Done("m", 1)));
  Reopen();
  ASSERT_EQ(ledger_->OpenOrders().size(), 2u);
  EXPECT_EQ(ledger_->OpenOrders()[0].id(), "z");
  EXPECT_EQ(ledger_->OpenOrders()[1].id(), "a");
  EXPECT_EQ(ledger_->Updates()[0].order_id(), "m");
}

TEST_F(LedgerTest, ADamagedFileIsSetAsideAndTheRestIsRead) {
  Accept("a");
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ListDirectory(dir_.Join("orders")));
  ASSERT_OK(WriteFileAtomic(JoinPath(dir_.Join("orders"), names[0]), "\xff\xff\xff garbage"));
  Accept("b");
  Reopen();
  ASSERT_EQ(ledger_->OpenOrders().size(), 1u);
  EXPECT_EQ(ledger_->OpenOrders()[0].id(), "b");
  EXPECT_TRUE(Accept("a")) << "the controller gives it again";
  Reopen();
  EXPECT_EQ(ledger_->OpenOrders().size(), 2u);
}

TEST_F(LedgerTest, AnOrderWithoutAnIdIsRefused) {
  EXPECT_THAT(ledger_->Accept(v1::Order()), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(Epochs, OnlyRiseAndSurviveARestart) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Epochs> epochs, Epochs::Open(dir.Join("epochs.pb")));
    EXPECT_EQ(epochs->Highest("db"), 0u);
    EXPECT_OK(epochs->Raise("db", 3));
    EXPECT_OK(epochs->RaiseController(7));
  }
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Epochs> epochs, Epochs::Open(dir.Join("epochs.pb")));
  EXPECT_EQ(epochs->Highest("db"), 3u);
  EXPECT_THAT(epochs->Raise("db", 2), HasCode(absl::StatusCode::kAborted));
  EXPECT_OK(epochs->Raise("db", 3));
  EXPECT_OK(epochs->Raise("web", 1));
  EXPECT_THAT(epochs->RaiseController(6), HasCode(absl::StatusCode::kAborted));
  EXPECT_OK(epochs->RaiseController(7));
}

TEST(Epochs, ADamagedFileIsAnErrorAndNotAFreshStart) {
  TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir.Join("epochs.pb"), "\xff\xff\xff garbage"));
  EXPECT_THAT(Epochs::Open(dir.Join("epochs.pb")), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember::agent
