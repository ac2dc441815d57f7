// Writers that commit, readers, deletions and rounds of garbage collection, all at once.
#include <atomic>
#include <thread>

#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::testing {
namespace {

class VaultGcStress : public VaultJobsFixture {
 protected:
  static constexpr int kWriters = 4;
  static constexpr int kBackups = 12;  // of each writer
  static constexpr int kRecords = 30;  // of each backup

  // A backup of records that neighbours and earlier backups share; asks first, then sends what is
  // absent, then whatever the commit still needs.
  absl::Status BackUp(const std::string& workload, int n, int first) {
    EMBER_ASSIGN_OR_RETURN(const ClientSession session, Open(SessionRequest(workload, n)));
    v1::HaveRequest have;
    have.set_session_id(session.request.session_id());
    have.set_token(session.reply.token());
    for (int i = 0; i < kRecords; ++i) have.add_ids(RecordId(first + i));
    EMBER_ASSIGN_OR_RETURN(const v1::HaveReply reply, vault_->Have("host1", have));
    for (int i = 0; i < kRecords; ++i) {
      if (reply.absent()[static_cast<size_t>(i)] != 0)
        EMBER_RETURN_IF_ERROR(vault_->Append("host1", UploadOf(session, first + i, 1)));
    }
    EMBER_ASSIGN_OR_RETURN(const auto first_try, Commit(session, SortedIds(first, kRecords)));
    // Whatever was promised by Have is there.
    if (first_try.need_size() > 0) return absl::InternalError("a promise was broken");
    return absl::OkStatus();
  }
};

TEST_F(VaultGcStress, WhatIsCommittedAndNotDeletedIsReadable) {
  std::atomic<int> writing{kWriters};
  std::vector<std::thread> threads;
  const auto first_of = [](int writer, int n) { return writer * 15 + n % 4 * 10; };
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      const std::string workload = absl::StrCat("w", writer);
      for (int n = 0; n < kBackups; ++n) {
        EXPECT_OK(BackUp(workload, n, first_of(writer, n)));
        ExpectReadable(first_of(writer, n), kRecords);
        // Two of three go again.
        if (n % 3 != 0) {
          EXPECT_OK(Delete({IdOf(workload, n)}));
        }
      }
      --writing;
    });
  }
  int rounds = 0;
  std::thread collector([&] {
    while (writing > 0 || rounds < 3) {
      EXPECT_OK(Gc(/*empty_trash=*/true));
      ++rounds;
    }
  });
  for (std::thread& thread : threads) thread.join();
  collector.join();
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(Gc(true));
    EXPECT_EQ(vault_->Facts().problem(), "");
    EXPECT_EQ(vault_->Facts().backups(), kWriters * kBackups / 3);
    for (int writer = 0; writer < kWriters; ++writer) {
      for (int n = 0; n < kBackups; n += 3) {
        EXPECT_OK(vault_->GetBackup(IdOf(absl::StrCat("w", writer), n)));
        ExpectReadable(first_of(writer, n), kRecords);
      }
    }
    DropIndex();
  }
}

}  // namespace
}  // namespace ember::testing
