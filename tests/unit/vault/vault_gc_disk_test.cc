// Garbage collection when the disk is full: it is needed most then.
#include "common/base/limits.h"
#include "tests/support/memory_store.h"
#include "tests/unit/vault/failing_store.h"
#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VaultGcDiskFull : public VaultJobsFixture {
 protected:
  vault::VaultOptions Options(const std::string& directory) override {
    vault::VaultOptions options = VaultFixture::Options(directory);
    store_ = std::make_shared<FailingStore>(std::make_unique<MemoryStore>(objects_), plan_);
    options.store = store_;
    return options;
  }
  void StartAnew() {
    vault_.reset();
    std::filesystem::remove_all(directory_.path());
    objects_ = std::make_shared<MemoryObjects>();
    Reopen();
  }
  void FillAtEveryCall(int fail_for);

  std::shared_ptr<MemoryObjects> objects_ = std::make_shared<MemoryObjects>();
  FailurePlan plan_;
  std::shared_ptr<FailingStore> store_;
};

TEST_F(VaultGcDiskFull, DeadPacksGoAndOthersWaitForRoom) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 50, 100));
  ASSERT_OK(Reuse("db", 3, 50, 25));
  ASSERT_OK(Delete({IdOf("db", 1), IdOf("db", 2)}));
  store_->free_bytes = kVaultReserveBytes - 1;
  EXPECT_FALSE(Backup("db", 4, 200, 1).ok());
  ASSERT_OK_AND_ASSIGN(auto result, Gc(/*empty_trash=*/true));
  EXPECT_EQ(result.packs_removed(), 2);
  EXPECT_GT(result.bytes_freed(), 0);
  EXPECT_EQ(result.packs_rewritten(), 0);
  EXPECT_THAT(result.problems(), ElementsAre(HasSubstr("no room to rewrite")));
  ExpectReadable(50, 25);
  store_->free_bytes = kVaultReserveBytes + (1 << 20);
  ASSERT_OK_AND_ASSIGN(result, Gc(true));
  EXPECT_EQ(result.packs_rewritten(), 2);
  EXPECT_THAT(result.problems(), IsEmpty());
  ExpectReadable(50, 25);
}

TEST_F(VaultGcDiskFull, WhatIsDueIsUnlinkedEvenWhenNothingCanBeWritten) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 50, 50));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  clock_.Advance(absl::Hours(24 * kTrashDays + 1));
  ASSERT_OK(Gc());
  clock_.Advance(absl::Hours(24 * kTrashDays + 1));
  const int64_t used = vault_->Facts().used_bytes();
  plan_.calls = 0;
  plan_.fail_for = 1 << 30;
  plan_.fail_at = 1;
  ASSERT_OK_AND_ASSIGN(const auto result, Gc());
  EXPECT_EQ(result.packs_removed(), 2);
  EXPECT_LT(vault_->Facts().used_bytes(), used);
  plan_.fail_at = 0;
  ExpectReadable(50, 50);
}

// The disk is full for `fail_for` calls, beginning with each call that a round makes.
void VaultGcDiskFull::FillAtEveryCall(int fail_for) {
  bool failed = true;
  for (int at = 1; failed; ++at) {
    ASSERT_LT(at, 100);
    StartAnew();
    ASSERT_OK(Backup("db", 1, 0, 40));
    ASSERT_OK(Backup("web", 1, 40, 1));
    ASSERT_OK(Reuse("db", 2, 0, 10));
    ASSERT_OK(Delete({IdOf("db", 1), IdOf("web", 1)}));
    plan_.calls = 0;
    plan_.fail_for = fail_for;
    plan_.fail_at = at;
    Gc(true).IgnoreError();
    failed = plan_.calls >= at;
    plan_.fail_at = 0;
    ExpectReadable(0, 10);
    if (at % 2 == 0) Reopen();
    if (at % 3 == 0) DropIndex();
    ExpectReadable(0, 10);
    EXPECT_OK(vault_->GetBackup(IdOf("db", 2)));
    ASSERT_OK(Gc(true)) << at;
    ExpectReadable(0, 10);
    EXPECT_EQ(CountGone(10, 31), 31u) << at;
    EXPECT_EQ(vault_->Facts().problem(), "");
  }
}

TEST_F(VaultGcDiskFull, AtNoCallIsAnythingNeededLostWhenItPasses) { FillAtEveryCall(1); }
TEST_F(VaultGcDiskFull, AtNoCallIsAnythingNeededLostWhenItLasts) { FillAtEveryCall(1 << 30); }

}  // namespace
}  // namespace ember::testing
