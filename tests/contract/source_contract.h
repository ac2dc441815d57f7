// What every kind of source does. Include it once in a test binary and instantiate with one factory
// per kind.
#ifndef EMBER_TESTS_CONTRACT_SOURCE_CONTRACT_H_
#define EMBER_TESTS_CONTRACT_SOURCE_CONTRACT_H_

#include <functional>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node-agent/source/backup_size.h"
#include "node-agent/source/source.h"
#include "tests/support/eventually.h"
#include "tests/support/memory_backup.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {

// Data of one kind, as a workload would have it.
class SourceUnderTest {
 public:
  virtual ~SourceUnderTest() = default;
  virtual v1::WorkloadSpec spec() const = 0;
  virtual void Damage() = 0;                // changes some of it
  virtual void Destroy() = 0;               // all of it is gone
  virtual std::string Content() const = 0;  // equal exactly when the data are equal
};
using SourceFactory = std::function<std::unique_ptr<SourceUnderTest>()>;

class SourceContract : public ::testing::TestWithParam<SourceFactory> {
 protected:
  void SetUp() override {
    data_ = GetParam()();
    auto source = agent::OpenSource(data_->spec());
    ASSERT_OK(source);
    source_ = *std::move(source);
    backup_.roots = source_->Roots();
  }
  void BackUp() {
    ASSERT_OK(source_->Read(WriteTo(&backup_).get()));
    ASSERT_FALSE(backup_.entries.empty());
  }
  absl::StatusOr<v1::RestoreResult> Restore(agent::RestorePlan plan = {}) {
    plan.order_id = "plan/workload/restore/1";
    plan.now = absl::FromUnixSeconds(1767225600);
    return source_->Restore(ReadFrom(&backup_).get(), plan);
  }

  std::unique_ptr<SourceUnderTest> data_;
  std::unique_ptr<agent::Source> source_;
  MemoryBackup backup_;
};

TEST_P(SourceContract, ItsSizeIsCountedBesideTheBackup) {
  BackUp();
  int64_t bytes = 0;
  for (const MemoryEntry& file : backup_.entries) {
    if (file.entry.hardlink_to().empty()) bytes += file.entry.size();
  }
  const agent::BackupSize size(data_->spec());
  EXPECT_TRUE(Eventually([&] { return size.bytes() == bytes; })) << size.bytes() << " of " << bytes;
}

TEST_P(SourceContract, DestroyedDataComeBackAsTheyWere) {
  BackUp();
  const std::string before = data_->Content();
  data_->Destroy();
  ASSERT_NE(data_->Content(), before);
  ASSERT_OK(Restore());
  EXPECT_EQ(data_->Content(), before);
}

TEST_P(SourceContract, WhatWasThereIsKeptAndNamed) {
  BackUp();
  const std::string before = data_->Content();
  data_->Damage();
  ASSERT_OK_AND_ASSIGN(const v1::RestoreResult result, Restore());
  EXPECT_EQ(data_->Content(), before);
  EXPECT_FALSE(result.safety_copies().empty());
  EXPECT_GT(result.changed() + result.added() + result.removed(), 0);
}

TEST_P(SourceContract, DryRunTellsAndTouchesNothing) {
  BackUp();
  data_->Damage();
  const std::string damaged = data_->Content();
  ASSERT_OK_AND_ASSIGN(const v1::RestoreResult result, Restore({.dry_run = true}));
  EXPECT_GT(result.changed() + result.added() + result.removed(), 0);
  EXPECT_EQ(data_->Content(), damaged);
}

TEST_P(SourceContract, RefusesToReplaceWhenToldSo) {
  BackUp();
  data_->Damage();
  const std::string damaged = data_->Content();
  EXPECT_THAT(Restore({.refuse_existing = true}), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(data_->Content(), damaged);
}

TEST_P(SourceContract, MissingDataAreNoticedAndNotBackedUp) {
  EXPECT_FALSE(source_->DataMissing());
  data_->Destroy();
  EXPECT_TRUE(source_->DataMissing());
  EXPECT_THAT(source_->Read(WriteTo(&backup_).get()),
              HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_P(SourceContract, CancelledRestoreLeavesTheTargetAlone) {
  BackUp();
  data_->Damage();
  const std::string damaged = data_->Content();
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(Restore({.cancelled = &cancelled}), HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(data_->Content(), damaged);
}

TEST_P(SourceContract, SameOrderTwiceEndsTheSame) {
  BackUp();
  const std::string before = data_->Content();
  data_->Damage();
  ASSERT_OK(Restore());
  ASSERT_OK_AND_ASSIGN(const v1::RestoreResult again, Restore());
  EXPECT_EQ(data_->Content(), before);
  EXPECT_EQ(again.changed() + again.added() + again.removed(), 0);
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_CONTRACT_SOURCE_CONTRACT_H_
