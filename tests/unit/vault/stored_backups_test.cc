#include "common/vault/stored_backups.h"

#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "common/vault/deletion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/vault/failing_store.h"

namespace ember::vault {
namespace {

using absl::StatusCode;
using ember::testing::FailingStore;
using ember::testing::FailurePlan;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;
using ember::testing::IsOk;
using ember::testing::MemoryObjects;
using ember::testing::MemoryStore;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StoredBackupsTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    backups_.reset();
    store_ = std::make_unique<FailingStore>(std::make_unique<MemoryStore>(objects_), plan_);
    ASSERT_OK_AND_ASSIGN(state_, VaultState::Open(directory_.Join("state")));
    ASSERT_OK_AND_ASSIGN(backups_, StoredBackups::Load(*store_, *state_));
  }
  void StartAnew() {
    objects_ = std::make_shared<MemoryObjects>();
    Reopen();
  }
  static std::string IdOf(int n) { return BackupId("db", absl::FromUnixSeconds(1767225600 + n)); }
  absl::Status Publish(int n, absl::Time retain_until = absl::InfinitePast()) {
    format::v1::StoredBackupRecord record;
    record.set_backup_id(IdOf(n));
    record.set_domain_id("host1");
    record.set_workload("db");
    record.set_session_id(absl::StrCat("session", n));
    if (retain_until != absl::InfinitePast())
      *record.mutable_retain_until() = rpc::ToTimestamp(retain_until);
    vault::NewRefSet ids(directory_.path(), "");
    EXPECT_OK(ids.Append(std::string(32, static_cast<char>('a' + n))));
    return backups_->Publish(record, ids, clock_).status();
  }

  ember::testing::FakeClock clock_;
  ember::testing::TempDir directory_;
  FailurePlan plan_;
  std::shared_ptr<MemoryObjects> objects_ = std::make_shared<MemoryObjects>();
  std::unique_ptr<FailingStore> store_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<StoredBackups> backups_;
};

TEST_F(StoredBackupsTest, WhatIsHeldUntilATimeIsNotDeletedBefore) {
  ASSERT_OK(Publish(1, clock_.Now() + absl::Hours(5)));
  DeletionJobs jobs(*backups_, *state_, clock_);
  v1::DeleteBackupsJob job;
  job.add_backup_ids(IdOf(1));
  job.set_by_person(true);
  EXPECT_THAT(jobs.Delete(job, {}, {}), HasCodeAndText(StatusCode::kFailedPrecondition, "held"));
  clock_.Advance(absl::Hours(4));
  EXPECT_THAT(jobs.Delete(job, {}, {}), HasCode(StatusCode::kFailedPrecondition));
  clock_.Advance(absl::Hours(2));
  EXPECT_OK(jobs.Delete(job, {}, {}));
}

// The disk is full at the k-th call of each move: the backup is where it was, or where it should
// go, and the move can be repeated, also after a restart.
TEST_F(StoredBackupsTest, AMoveThatFailsAtAnyCallLosesNothing) {
  const auto move = [this](int step) {
    const Deletion deletion{.time = clock_.Now(), .by_person = true, .who = "anna", .why = ""};
    switch (step) {
      case 0: return backups_->MoveToTrash(IdOf(2), deletion);
      case 1: return backups_->Undelete(IdOf(2));
      case 2: return backups_->MoveToTrash(IdOf(2), deletion);
      default: return backups_->Purge(IdOf(2), clock_.Now());
    }
  };
  for (int step = 0; step < 4; ++step) {
    for (const bool restart : {false, true}) {
      bool failed = true;
      for (int at = 1; failed; ++at) {
        ASSERT_LT(at, 20);
        StartAnew();
        for (int n = 1; n <= 3; ++n) ASSERT_OK(Publish(n));
        for (int before = 0; before < step; ++before) ASSERT_OK(move(before));
        plan_.calls = 0;
        plan_.fail_at = at;
        failed = !move(step).ok();
        plan_.fail_at = 0;
        if (restart) Reopen();
        if (failed) {
          EXPECT_TRUE(backups_->Find(IdOf(2)).has_value()) << step << " " << at;
        }
        EXPECT_THAT(*backups_->CheckChains(), IsEmpty()) << step << " " << at;
        ASSERT_OK(move(step)) << step << " " << at;
        Reopen();
        EXPECT_EQ(backups_->size(), step == 1 ? 3 : 2);
        EXPECT_EQ(backups_->trashed(), step == 0 || step == 2 ? 1 : 0);
        EXPECT_THAT(*backups_->CheckChains(), IsEmpty());
        EXPECT_EQ(backups_->damaged(), 0);
        EXPECT_EQ(ListTails(*store_, kRefs)->size(), step == 3 ? 2u : 3u);
      }
    }
  }
}

TEST_F(StoredBackupsTest, ACheckOfTheChainsReadsWhatIsThereNow) {
  for (int n = 1; n <= 3; ++n) ASSERT_OK(Publish(n));
  EXPECT_THAT(*backups_->CheckChains(), IsEmpty());
  const std::string tail = (*ListTails(*store_, kSnaps))[1];
  ASSERT_OK(store_->Delete(BackupObject(kSnaps, tail)));
  ASSERT_OK_AND_ASSIGN(const auto breaks, backups_->CheckChains());
  EXPECT_THAT(breaks,
              ElementsAre(::testing::HasSubstr("domain host1: the backup before number 3")));
  EXPECT_EQ(backups_->broken_chains(), 1);
}

TEST(BrokenLinksTest, FindsHolesButNotForks) {
  const auto chain = [](std::vector<std::pair<std::string, std::string>> links) {
    DomainChain result;
    uint64_t sequence = 1;
    for (auto& [sha256, previous] : links)
      result[sequence++] = {.sha256 = sha256, .previous_sha256 = previous};
    return result;
  };
  EXPECT_THAT(BrokenLinks({}), IsEmpty());
  EXPECT_THAT(BrokenLinks(chain({{"a", ""}, {"b", "a"}, {"c", "b"}})), IsEmpty());
  EXPECT_THAT(BrokenLinks(chain({{"b", "a"}, {"c", "b"}})), ElementsAre(1));
  EXPECT_THAT(BrokenLinks(chain({{"a", ""}, {"c", "b"}})), ElementsAre(2));
  EXPECT_THAT(BrokenLinks(chain({{"a", ""}, {"x", "a"}, {"c", "b"}, {"d", "c"}})), ElementsAre(3));
  // x is of a commit that failed at its very end; b was made after it.
  EXPECT_THAT(BrokenLinks(chain({{"a", ""}, {"x", "a"}, {"b", "a"}, {"c", "b"}})), IsEmpty());
  DomainChain damaged = chain({{"a", ""}, {"y", ""}, {"c", "b"}});
  damaged[2].readable = false;
  EXPECT_THAT(BrokenLinks(damaged), ElementsAre(3));
}

}  // namespace
}  // namespace ember::vault
