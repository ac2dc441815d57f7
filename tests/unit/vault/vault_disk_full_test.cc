#include "absl/strings/match.h"
#include "common/base/limits.h"
#include "tests/support/memory_store.h"
#include "tests/unit/vault/failing_store.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;

class VaultDiskFull : public VaultFixture {
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

// The disk is full for `fail_for` calls, beginning with each call that a backup makes, one after
// the other.
void VaultDiskFull::FillAtEveryCall(int fail_for) {
  bool failed = true;
  for (int at = 1; failed; ++at) {
    ASSERT_LT(at, 100);
    plan_.fail_at = 0;
    if (at > 1) StartAnew();
    ASSERT_OK(Backup("db", 1, 0, 4));
    plan_.calls = 0;
    plan_.fail_for = fail_for;
    plan_.fail_at = at;
    const auto second = Backup("db", 2, 2, 5);
    plan_.fail_at = 0;
    failed = !second.ok();
    EXPECT_TRUE(second.ok() || absl::IsResourceExhausted(second.status()))
        << at << " " << second.status();
    for (int round = 0; round < 2; ++round) {
      EXPECT_OK(vault_->GetBackup(IdOf("db", 1)));
      ExpectReadable(0, 4);
      EXPECT_EQ(vault_->GetBackup(IdOf("db", 2)).ok(), second.ok()) << at;
      if (round == 0) Reopen();
    }
    // With room again the same backup goes through.
    ASSERT_OK(Backup("db", 2, 2, 5)) << at;
    ExpectReadable(0, 7);
    EXPECT_EQ(vault_->Facts().backups(), 2);
    EXPECT_EQ(vault_->Facts().problem(), "");
  }
}

TEST_F(VaultDiskFull, AtNoCallIsAnythingAcknowledgedLostWhenItPasses) { FillAtEveryCall(1); }
TEST_F(VaultDiskFull, AtNoCallIsAnythingAcknowledgedLostWhenItLasts) { FillAtEveryCall(1000); }

TEST_F(VaultDiskFull, AfterAFailureTheSessionMustBeOpenedAgain) {
  ASSERT_OK_AND_ASSIGN(auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  plan_.fail_at = plan_.calls + 1;
  EXPECT_THAT(vault_->Sync(session.request.session_id()), HasCode(StatusCode::kResourceExhausted));
  EXPECT_NE(vault_->Facts().problem(), "");
  // What was appended before is gone, so no later call may pretend otherwise.
  EXPECT_THAT(vault_->Sync(session.request.session_id()), HasCode(StatusCode::kResourceExhausted));
  EXPECT_THAT(vault_->Append("host1", UploadOf(session, 10, 1)),
              HasCode(StatusCode::kResourceExhausted));
  EXPECT_THAT(Commit(session, SortedIds(0, 10)), HasCode(StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(session, Open(session.request));
  EXPECT_EQ(CountAbsent(session, 0, 10), 10);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK(Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(vault_->Facts().problem(), "");
}

TEST_F(VaultDiskFull, TheReserveIsKeptForCommits) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  store_->free_bytes = kVaultReserveBytes - 1;
  EXPECT_THAT(vault_->Append("host1", UploadOf(session, 10, 1)),
              HasCode(StatusCode::kResourceExhausted));
  EXPECT_TRUE(absl::StrContains(vault_->Facts().problem(), "disk full"));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(reply.need_size(), 0);
  store_->free_bytes = -1;
  ASSERT_OK(Backup("db", 2, 10, 1));
}

}  // namespace
}  // namespace ember::testing
