#include "controller/bootstrap.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "controller/catalog/catalog.h"
#include "controller/controller.h"
#include "controller/identity/key_vault.h"
#include "controller/protect/catalog_exports.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::controller {
namespace {

using absl::StatusCode;
using ember::testing::FakeClock;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;
using ember::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kEpoch = 7;

class Bootstrap : public ::testing::Test {
 protected:
  // An estate with a node, a workload held by a recovery, a pinned backup and an event.
  void SetUp() override {
    ASSERT_OK(InitEstate(dir_.Join("old"), &clock_));
    ASSERT_OK_AND_ASSIGN(keys_, KeyVault::Open(dir_.Join("old"), clock_.Now()));
    ASSERT_OK_AND_ASSIGN(catalog_, Catalog::Open(dir_.Join("old/catalog")));
    record::v1::MetaRecord meta;
    meta.set_estate_id(keys_->estate_id());
    meta.set_schema_version(kCatalogSchema);
    meta.set_em_epoch(kEpoch);
    record::v1::NodeRecord node;
    node.set_name("n1");
    record::v1::WorkloadRecord workload;
    workload.set_name("db");
    workload.set_hold_recovery(true);
    workload.set_last_recovery("rec-1");
    record::v1::BackupRecord backup;
    backup.mutable_backup()->set_id("db/20261126-120000");
    backup.mutable_backup()->set_workload("db");
    backup.mutable_backup()->set_pinned(true);
    ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord domain, keys_->NewDomain("node-n1"));
    Batch batch;
    batch.Put(meta);
    batch.Put(node);
    batch.Put(workload);
    batch.Put(backup);
    batch.Put(domain);
    batch.AddEvent("test", "db", "happened");
    ASSERT_OK(catalog_->Commit(batch, clock_.Now()));
    ASSERT_OK(MakeDirectories(dir_.Join("vault/catalog")));
    options_ = {.state_directory = dir_.Join("new"),
                .vault = dir_.Join("vault"),
                .kit_file = dir_.Join("old/recovery-kit.txt"),
                .clock = &clock_};
  }
  void PutExport(uint64_t number) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         keys_->SealExport(ContentsOf(*catalog_), number, clock_.Now()));
    PutFile(number, bytes);
  }
  void PutFile(uint64_t number, const std::string& bytes) {
    ASSERT_OK(WriteFileAtomic(
        dir_.Join(absl::StrCat("vault/catalog/", absl::Hex(number, absl::kZeroPad16))), bytes));
  }

  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<KeyVault> keys_;
  std::unique_ptr<Catalog> catalog_;
  BootstrapOptions options_;
};

TEST_F(Bootstrap, MakesTheSameEstateThatObserves) {
  PutExport(kEpoch << 32 | 1);
  PutExport(kEpoch << 32 | 2);
  PutFile(kEpoch << 32 | 3, "rotten");
  ASSERT_OK_AND_ASSIGN(const Bootstrapped made, BootstrapEstate(options_));
  EXPECT_EQ(made.estate_id, keys_->estate_id());
  EXPECT_EQ(made.made, clock_.Now());
  EXPECT_EQ(made.backups, 1);
  EXPECT_THAT(made.passed_over, ElementsAre(HasSubstr("0000000700000003")));

  ASSERT_OK_AND_ASSIGN(const auto keys, KeyVault::Open(dir_.Join("new"), clock_.Now()));
  EXPECT_EQ(keys->ca_pem(), keys_->ca_pem()) << "agents must know it";
  ASSERT_OK_AND_ASSIGN(const auto catalog, Catalog::Open(dir_.Join("new/catalog")));
  EXPECT_TRUE(catalog->meta().observing());
  EXPECT_EQ(catalog->meta().em_epoch(), kEpoch + kExportEpochGap);
  EXPECT_TRUE(catalog->backups().at("db/20261126-120000").backup().pinned());
  EXPECT_FALSE(catalog->workloads().at("db").hold_recovery()) << "its recovery is no more";
  EXPECT_EQ(catalog->last_event_seq(), 1u);
  EXPECT_OK(keys->BackupKeys(catalog->domains().at("node-n1"))) << "the estate's key is the same";
  struct stat info;
  ASSERT_EQ(stat(dir_.Join("new/ca/key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

TEST_F(Bootstrap, LeavesNothingWhenItCannot) {
  EXPECT_THAT(BootstrapEstate(options_),
              HasCodeAndText(StatusCode::kNotFound, "no catalog export"));
  PutFile(1, "rotten");
  EXPECT_THAT(BootstrapEstate(options_), HasCode(StatusCode::kDataLoss));
  PutExport(2);
  BootstrapOptions wrong = options_;
  wrong.vault = "https://example.org/vault";
  EXPECT_THAT(BootstrapEstate(wrong), HasCode(StatusCode::kInvalidArgument));
  wrong = options_;
  wrong.kit_file = dir_.Join("vault/catalog/0000000000000001");
  EXPECT_THAT(BootstrapEstate(wrong), HasCode(StatusCode::kInvalidArgument));
  wrong = options_;
  wrong.state_directory = dir_.Join("old");
  EXPECT_THAT(BootstrapEstate(wrong), HasCode(StatusCode::kAlreadyExists));
  EXPECT_FALSE(FileExists(dir_.Join("new")));
  EXPECT_FALSE(FileExists(dir_.Join("new.bootstrap")));
}

TEST_F(Bootstrap, GoesOnAfterOneThatWasInterrupted) {
  PutExport(1);
  ASSERT_OK(MakeDirectories(dir_.Join("new.bootstrap/ca")));
  ASSERT_OK(WriteFileAtomic(dir_.Join("new.bootstrap/ca/cert.pem"), "half"));
  ASSERT_OK(MakeDirectories(dir_.Join("new")));
  ASSERT_OK(BootstrapEstate(options_));
  EXPECT_OK(KeyVault::Open(dir_.Join("new"), clock_.Now()));
}

}  // namespace
}  // namespace ember::controller
