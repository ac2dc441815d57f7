#include <atomic>

#include "absl/strings/match.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/vault/pack.h"
#include "tests/unit/vault/vault_jobs_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class VaultGc : public VaultJobsFixture {
 protected:
  static constexpr absl::Duration kTrash = absl::Hours(24 * kTrashDays + 1);

  // Called once, when the round reaches `phase`.
  vault::JobContext At(const std::string& phase, std::function<void()> what) {
    auto done = std::make_shared<bool>(false);
    vault::JobContext context;
    context.progress = [=](const v1::Progress& progress) {
      if (progress.phase() != phase || std::exchange(*done, true)) return;
      what();
    };
    return context;
  }
  // The index as it is now, to be put back later: as if what was written since were lost.
  void KeepIndex() {
    vault_.reset();
    fs::remove_all(directory_.Join("kept-index"));
    fs::copy(directory_.Join("index"), directory_.Join("kept-index"), fs::copy_options::recursive);
    Reopen();
  }
  void PutIndexBack() {
    vault_.reset();
    fs::remove_all(directory_.Join("index"));
    fs::copy(directory_.Join("kept-index"), directory_.Join("index"), fs::copy_options::recursive);
    Reopen();
  }
  // Garbage is what backup 1 sent and backup 2, which needs the first `kept` records, does not. A
  // session spreads its records over its packs at random: a test that counts packs takes so many
  // of both kinds that each pack has both.
  void MakeGarbage(int total, int kept) {
    ASSERT_OK(Backup("db", 1, 0, total));
    ASSERT_OK(Reuse("db", 2, 0, kept));
    ASSERT_OK(Delete({IdOf("db", 1)}));
  }
};

TEST_F(VaultGc, FreesWhatNoBackupNeedsAfterItsTimeInTheTrash) {
  ASSERT_OK(Backup("db", 1, 0, 100));
  ASSERT_OK(Backup("db", 2, 100, 100));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  const int64_t used = vault_->Facts().used_bytes();
  ASSERT_OK_AND_ASSIGN(auto result, Gc());
  EXPECT_EQ(result.records_condemned(), 0);
  clock_.Advance(kTrash);
  ASSERT_OK_AND_ASSIGN(result, Gc());
  EXPECT_THAT(result.backups(), ElementsAre(IdOf("db", 1)));
  EXPECT_EQ(result.records_condemned(), 100);
  EXPECT_EQ(result.packs_rewritten(), 0);
  EXPECT_EQ(result.bytes_freed(), 0);
  EXPECT_GT(result.bytes_in_trash(), 0);
  EXPECT_EQ(result.packs_total(), 2);
  EXPECT_EQ(vault_->Facts().trashed_bytes(), result.bytes_in_trash());
  EXPECT_EQ(CountGone(0, 100), 100u);
  EXPECT_EQ(Files("packs").size(), 4u);
  clock_.Advance(kTrash);
  const int64_t waiting = result.bytes_in_trash();
  ASSERT_OK_AND_ASSIGN(result, Gc());
  EXPECT_EQ(result.bytes_freed(), waiting);
  EXPECT_EQ(result.packs_removed(), 2);
  EXPECT_EQ(Files("packs").size(), 2u);
  EXPECT_THAT(Files("trash"), IsEmpty());
  EXPECT_LT(vault_->Facts().used_bytes(), used);
  for (int round = 0; round < 2; ++round) {
    ExpectReadable(100, 100);
    EXPECT_EQ(vault_->Facts().problem(), "");
    DropIndex();
  }
}

TEST_F(VaultGc, APersonMayEmptyTheTrashAtOnce) {
  ASSERT_OK(Backup("db", 1, 0, 100));
  ASSERT_OK(Backup("db", 2, 100, 100));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(/*empty_trash=*/true));
  EXPECT_EQ(result.packs_removed(), 2);
  EXPECT_GT(result.bytes_freed(), 0);
  EXPECT_EQ(result.bytes_in_trash(), 0);
  EXPECT_EQ(Files("packs").size(), 2u);
  ExpectReadable(100, 100);
  // What was removed can be sent again.
  ASSERT_OK(Backup("db", 3, 50, 100));
  ExpectReadable(50, 150);
}

TEST_F(VaultGc, APackThatIsMostlyGarbageIsRewrittenVerbatim) {
  ASSERT_OK(Backup("db", 1, 0, 100));
  ASSERT_OK(Backup("web", 1, 100, 100));
  ASSERT_OK(Reuse("db", 2, 0, 30));
  ASSERT_OK(Reuse("web", 2, 100, 30));
  ASSERT_OK_AND_ASSIGN(const auto before, vault_->GetBackup(IdOf("db", 2)));
  const auto records = Read(SortedIds(0, 30)).records;
  ASSERT_OK(Delete({IdOf("db", 1), IdOf("web", 1)}));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 140);
  EXPECT_EQ(result.packs_rewritten(), 4);
  EXPECT_EQ(Files("packs").size(), 1u);  // of two sessions
  for (int round = 0; round < 2; ++round) {
    ExpectReadable(0, 30);
    ExpectReadable(100, 30);
    EXPECT_EQ(CountGone(30, 70), 70u);
    ASSERT_OK_AND_ASSIGN(const auto after, vault_->GetBackup(IdOf("db", 2)));
    EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
    for (const auto& [id, record] : Read(SortedIds(0, 30)).records)
      EXPECT_EQ(record.SerializeAsString(), records.at(id).SerializeAsString());
    DropIndex();
  }
  // The next round finds nothing to do.
  ASSERT_OK_AND_ASSIGN(const auto next, Gc(true));
  EXPECT_EQ(next.records_condemned() + next.packs_rewritten() + next.packs_removed(), 0);
}

TEST_F(VaultGc, APackWithLittleGarbageStaysAndWhatIsAskedForComesBack) {
  // One record of a hundred: little of its pack, however the session spread them over its packs.
  MakeGarbage(100, 99);
  ASSERT_OK_AND_ASSIGN(auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 1);
  EXPECT_EQ(result.packs_rewritten(), 0);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  EXPECT_EQ(CountAbsent(session, 0, 100), 0);
  ASSERT_OK_AND_ASSIGN(result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 0);  // promised to the session
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 100)));
  EXPECT_EQ(reply.need_size(), 0);
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 100);
}

TEST_F(VaultGc, WhatIsInTheTrashKeepsItsRecordsAndCanBeUndeleted) {
  ASSERT_OK(Backup("db", 1, 0, 100));
  ASSERT_OK(Backup("db", 2, 100, 10));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  clock_.Advance(kTrash - absl::Hours(1));
  ASSERT_OK(Gc());
  Reopen();
  ASSERT_OK(Gc());
  ASSERT_OK(Undelete({IdOf("db", 1)}));
  clock_.Advance(kTrash);
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 110);
  EXPECT_OK(vault_->GetBackup(IdOf("db", 1)));
}

TEST_F(VaultGc, AnOpenSessionKeepsWhatItSentAndWhatItWasPromised) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  EXPECT_EQ(CountAbsent(session, 0, 60), 10);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 50, 10)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
    EXPECT_EQ(result.records_condemned(), 0);
  }
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 60)));
  EXPECT_EQ(reply.need_size(), 0);
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 60);
}

TEST_F(VaultGc, TheParentOfAnOpenSessionIsNotPurged) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  auto request = SessionRequest("db", 2);
  request.set_parent_root(SortedIds(0, 50)[0]);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(request));
  EXPECT_TRUE(session.reply.parent_present());
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_THAT(result.backups(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 50)));
  EXPECT_EQ(reply.need_size(), 0);
  ASSERT_OK_AND_ASSIGN(const auto after, Gc(true));
  EXPECT_THAT(after.backups(), ElementsAre(IdOf("db", 1)));
  ExpectReadable(0, 50);
}

TEST_F(VaultGc, AnInterruptedBackupKeepsItsRecordsForADay) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK_AND_ASSIGN(auto session, Open(SessionRequest("db", 2)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 10, 50)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  Reopen();
  for (int day = 0; day < 2; ++day) {
    ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
    EXPECT_EQ(result.records_condemned(), 0) << day;
    ASSERT_OK_AND_ASSIGN(session, Open(session.request));
    EXPECT_EQ(CountAbsent(session, 10, 50), 0);
    Reopen();
    clock_.Advance(absl::Hours(23));
  }
  clock_.Advance(absl::Hours(3));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 50);
  ExpectReadable(0, 10);
}

TEST_F(VaultGc, AnIdleSessionIsAbandonedAfterADayAndIsToldWhatIsMissing) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  ASSERT_OK(Gc(true));
  clock_.Advance(absl::Hours(kSessionLeaseHours) + absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 10);
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(reply.need_size(), 10);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK(Commit(session, SortedIds(0, 10)));
  ExpectReadable(0, 10);
}

TEST_F(VaultGc, WhatIsAskedForBetweenCondemnAndSweepIsKept) {
  MakeGarbage(100, 10);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  ASSERT_OK(Gc(true, At("sweeping", [&] { EXPECT_EQ(CountAbsent(session, 20, 40), 0); })));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(20, 40)));
  EXPECT_EQ(reply.need_size(), 0);
  for (int round = 0; round < 2; ++round) {
    ExpectReadable(0, 10);
    ExpectReadable(20, 40);
    ASSERT_OK(Gc(true));
    DropIndex();
  }
  EXPECT_EQ(CountGone(60, 40), 40u);
}

TEST_F(VaultGc, APackWhoseGarbageIsAllAskedForBeforeItsTurnStays) {
  ASSERT_OK(Backup("db", 1, 0, 1));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  clock_.Advance(kTrash);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  // Rewritten, such a pack is the very same one again.
  ASSERT_OK(Gc(true, At("sweeping", [&] { EXPECT_EQ(CountAbsent(session, 0, 1), 0); })));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 1)));
  EXPECT_EQ(reply.need_size(), 0);
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(Gc(true));
    ExpectReadable(0, 1);
    DropIndex();
  }
}

TEST_F(VaultGc, WhatASessionSendsAlthoughItIsThereIsKeptForIt) {
  ASSERT_OK_AND_ASSIGN(const auto gone, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(gone, 0, 10)));
  ASSERT_OK(vault_->Sync(gone.request.session_id()));
  ASSERT_OK(Gc());
  clock_.Advance(absl::Hours(2 * kSessionLeaseHours));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("web", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  ASSERT_OK(Gc());
  EXPECT_EQ(CountAbsent(session, 0, 10), 0);
}

TEST_F(VaultGc, ARecordThatWasSentTwiceIsKeptOnce) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  for (int copy = 0; copy < 4; ++copy) ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK(Commit(session, SortedIds(0, 10)));
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(Gc(true));
    ExpectReadable(0, 10);
  }
  int64_t bytes = 0;
  for (const std::string& pack : Files("packs")) bytes += static_cast<int64_t>(fs::file_size(pack));
  EXPECT_LT(bytes, 10 * 1000);
  DropIndex();
  ExpectReadable(0, 10);
}

TEST_F(VaultGc, ACommitBetweenCondemnAndSweepIsWhole) {
  MakeGarbage(100, 10);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  ASSERT_OK(Gc(true, At("sweeping", [&] {
                 // Nothing was asked before; every id is known from an older run.
                 EXPECT_EQ(Commit(session, SortedIds(50, 50))->need_size(), 0);
               })));
  ExpectReadable(50, 50);
  DropIndex();
  ExpectReadable(50, 50);
}

TEST_F(VaultGc, ACommitDuringTheMarkIsWhole) {
  MakeGarbage(100, 10);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  ASSERT_OK(Gc(
      true, At("marking", [&] { EXPECT_EQ(Commit(session, SortedIds(50, 50))->need_size(), 0); })));
  ExpectReadable(50, 50);
  ASSERT_OK(Gc(true));
  ExpectReadable(50, 50);
}

TEST_F(VaultGc, ASessionOpenedDuringARoundIsSafeInTheNextOnesToo) {
  MakeGarbage(100, 90);
  std::unique_ptr<ClientSession> session;
  ASSERT_OK(Gc(true, At("marking", [&] {
                 session = std::make_unique<ClientSession>(*Open(SessionRequest("db", 3)));
                 EXPECT_EQ(CountAbsent(*session, 90, 10), 0);
                 EXPECT_OK(vault_->Append("host1", UploadOf(*session, 200, 10)));
                 EXPECT_OK(vault_->Sync(session->request.session_id()));
               })));
  for (int round = 0; round < 3; ++round) ASSERT_OK(Gc(true));
  std::vector<std::string> ids = SortedIds(90, 10);
  const std::vector<std::string> more = SortedIds(200, 10);
  ids.insert(ids.end(), more.begin(), more.end());
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(Commit(*session, ids)->need_size(), 0);
  ExpectReadable(90, 10);
  ExpectReadable(200, 10);
}

TEST_F(VaultGc, DeletedAndUndeletedDuringARoundNothingIsLost) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Backup("db", 2, 50, 50));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  ASSERT_OK(Gc(false, At("marking", [&] {
                 EXPECT_OK(Undelete({IdOf("db", 1)}));
                 EXPECT_OK(Delete({IdOf("db", 2)}));
               })));
  ASSERT_OK(Undelete({IdOf("db", 2)}));
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 100);
}

TEST_F(VaultGc, AReaderMidStreamReadsOnAndIsWaitedFor) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  for (int n = 0; n < 8; ++n) {
    auto upload = UploadOf(session, n, 1);
    upload.mutable_records(0)->set_payload(std::string(1 << 20, static_cast<char>('a' + n)));
    ASSERT_OK(vault_->Append("host1", upload));
  }
  ASSERT_OK(Commit(session, SortedIds(0, 8)));
  ASSERT_OK(Reuse("db", 2, 0, 2));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  v1::ReadRequest request;
  for (int n = 0; n < 8; ++n) request.add_ids(RecordId(n));
  int records = 0;
  bool collected = false;
  ASSERT_OK(vault_->Read(request, "", [&](v1::ReadReply&& reply) {
    records += reply.records_size();
    EXPECT_EQ(reply.problems_size(), 0);
    if (!std::exchange(collected, true)) {
      const auto result = Gc(true);
      EXPECT_OK(result);
      EXPECT_EQ(result->records_condemned(), 6);
      EXPECT_EQ(result->packs_removed(), 0);
      EXPECT_GT(result->bytes_in_trash(), 0);
    }
    return absl::OkStatus();
  }));
  EXPECT_EQ(records, 8);
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_GE(result.packs_removed(), 1);  // those that lost a record
  EXPECT_EQ(result.bytes_in_trash(), 0);
  EXPECT_EQ(CountGone(2, 6), 6u);
  EXPECT_EQ(Read(SortedIds(0, 2)).problems.size(), 0u);
}

TEST_F(VaultGc, ACancelledRoundLeavesNothingBehindThatHurts) {
  for (const std::string phase : {"marking", "sweeping"}) {
    vault_.reset();
    fs::remove_all(directory_.path());
    Reopen();
    MakeGarbage(100, 10);
    std::atomic<bool> cancelled{false};
    vault::JobContext context = At(phase, [&] { cancelled = true; });
    context.cancelled = &cancelled;
    EXPECT_THAT(Gc(true, context), HasCode(StatusCode::kCancelled)) << phase;
    ExpectReadable(0, 10);
    ASSERT_OK(Backup("db", 3, 5, 20));
    ASSERT_OK(Gc(true));
    ExpectReadable(0, 25);
    EXPECT_EQ(CountGone(25, 75), 75u);
    DropIndex();
    ExpectReadable(0, 25);
  }
}

TEST_F(VaultGc, OneJobAtATime) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK(Gc(false, At("marking", [&] {
                 EXPECT_THAT(Gc(), HasCode(StatusCode::kUnavailable));
                 EXPECT_OK(Delete({IdOf("db", 1)}));  // need not wait
                 EXPECT_OK(Undelete({IdOf("db", 1)}));
               })));
  EXPECT_OK(Gc());
}

TEST_F(VaultGc, AnIndexThatLostTheEndOfARoundIsPutRight) {
  MakeGarbage(100, 25);
  KeepIndex();
  ASSERT_OK_AND_ASSIGN(const auto result, Gc());
  EXPECT_EQ(result.packs_rewritten(), 0);  // the deleted backup keeps everything
  clock_.Advance(kTrash);
  ASSERT_OK(Gc());
  EXPECT_EQ(Files("packs").size(), 3u);
  // Marks and copies are there, the index does not know: the copies count.
  PutIndexBack();
  for (int round = 0; round < 2; ++round) {
    ExpectReadable(0, 25);
    clock_.Advance(kTrash);
    ASSERT_OK(Gc());
    ExpectReadable(0, 25);
    DropIndex();
  }
  EXPECT_EQ(Files("packs").size(), 1u);
  // And when the old packs are gone by then.
  PutIndexBack();
  ExpectReadable(0, 25);
}

TEST_F(VaultGc, AMarkedPackWhoseRecordsHaveNoOtherCopyComesBack) {
  ASSERT_OK(Backup("db", 1, 0, 1));
  ASSERT_OK(Backup("db", 2, 1, 1));
  ASSERT_OK(Delete({IdOf("db", 1)}));
  clock_.Advance(kTrash);
  ASSERT_OK(Gc());
  ASSERT_EQ(Files("trash").size(), 1u);
  vault_.reset();
  // The mark of one pack under the name of another, which is needed.
  const fs::path mark = Files("trash")[0];
  for (const std::string& pack : Files("packs")) {
    const fs::path other = mark.parent_path() / fs::path(pack).filename();
    if (!fs::exists(other)) fs::copy(mark, other);
  }
  Reopen();
  ExpectReadable(1, 1);
  clock_.Advance(kTrash);
  ASSERT_OK(Gc());
  ExpectReadable(1, 1);
  DropIndex();
  ExpectReadable(1, 1);
}

TEST_F(VaultGc, ARebuiltIndexPassesOverTheTrash) {
  MakeGarbage(100, 10);
  clock_.Advance(kTrash);
  ASSERT_OK(Gc());
  const size_t packs = Files("packs").size();
  DropIndex();
  ExpectReadable(0, 10);
  EXPECT_EQ(CountGone(10, 90), 90u);
  EXPECT_EQ(Files("packs").size(), packs);
  ASSERT_OK(Backup("db", 3, 0, 100));
  clock_.Advance(kTrash);
  ASSERT_OK(Gc());
  ExpectReadable(0, 100);
}

TEST_F(VaultGc, ThePackThatIsSentAgainComesOutOfTheTrash) {
  ASSERT_OK_AND_ASSIGN(auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 1)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  Reopen();
  ASSERT_OK(Gc());
  clock_.Advance(absl::Hours(kSessionLeaseHours) + absl::Hours(1));
  ASSERT_OK(Gc());
  ASSERT_EQ(Files("trash").size(), 1u);
  ASSERT_OK_AND_ASSIGN(session, Open(session.request));
  EXPECT_EQ(CountAbsent(session, 0, 1), 1);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 1)));  // the same bytes
  ASSERT_OK(Commit(session, SortedIds(0, 1)));
  EXPECT_EQ(Files("packs").size(), 1u);
  for (int round = 0; round < 2; ++round) {
    clock_.Advance(kTrash);
    ASSERT_OK(Gc());
    ExpectReadable(0, 1);
    DropIndex();
  }
}

TEST_F(VaultGc, ADamagedReferenceSetStopsTheCollectionOfItsDomainOnly) {
  ASSERT_OK(Backup("db", 1, 0, 50));
  ASSERT_OK(Reuse("db", 2, 0, 10));
  auto request = SessionRequest("web", 1);
  request.set_domain_id("host2");
  ASSERT_OK_AND_ASSIGN(const auto other, Open(request));
  ASSERT_OK(vault_->Append("host1", UploadOf(other, 100, 10)));
  ASSERT_OK(Commit(other, SortedIds(100, 10)));
  ASSERT_OK(Delete({IdOf("db", 1), IdOf("web", 1)}));
  const std::string refs = Files("refs/host1")[1];
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(refs));
  for (const bool missing : {false, true}) {
    std::string bytes = good;
    bytes[70] ^= 1;
    fs::remove(refs);
    if (!missing) {
      ASSERT_OK(WriteFileAtomic(refs, bytes));
    }
    ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
    EXPECT_THAT(result.problems(), ElementsAre(HasSubstr("nothing of its domain is collected")));
    EXPECT_EQ(result.records_condemned(), missing ? 0 : 10);
  }
  ASSERT_OK(WriteFileAtomic(refs, good));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 40);
  ExpectReadable(0, 10);
}

TEST_F(VaultGc, APackWithADamagedRecordThatIsNeededIsNotRewritten) {
  MakeGarbage(100, 25);
  for (const std::string& pack : Files("packs")) {
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(pack, 1 << 30));
    const size_t at = bytes.find(RecordPayload(3));
    if (at == std::string::npos) continue;
    bytes[at + 2] ^= 1;
    ASSERT_OK(WriteFileAtomic(pack, bytes));
  }
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_THAT(result.problems(), ElementsAre(HasSubstr("cannot be read")));
  EXPECT_EQ(result.packs_rewritten(), 1);
  EXPECT_EQ(Read(SortedIds(0, 10)).payloads.size(), 9u);
  // Once the good record is sent again, nothing holds the pack any more.
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  EXPECT_EQ(CountAbsent(session, 0, 10), 1);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 3, 1)));
  ASSERT_OK(Commit(session, SortedIds(0, 10)));
  ASSERT_OK(Gc(true));
  ExpectReadable(0, 10);
  DropIndex();
  ExpectReadable(0, 10);
}

// A round that was cut off may leave a copy that holds some live entries, while others still point
// to the old pack: rewriting both gives the same bytes, and so the same name, as the copy has
// already.
TEST_F(VaultGc, ACopyThatIsThereAlreadyIsNotReplacedByItself) {
  vault_.reset();
  ASSERT_OK_AND_ASSIGN(auto store, vault::OpenDirectoryStore(directory_.path()));
  format::v1::PackSession row;
  row.set_session_id(SessionRequest("db", 1).session_id());
  row.set_keybox(SessionRequest("db", 1).keybox());
  row.set_domain_id("host1");
  const auto put = [&](const std::vector<int>& records) {
    auto pack = *vault::PackWriter::Create(*store, {row}, vault::PackParityMode::kOn);
    for (const int n : records) {
      EXPECT_OK(pack->Append({.type = 1,
                              .id = RecordId(n),
                              .session_id = row.session_id(),
                              .nonce = static_cast<uint64_t>(n),
                              .payload = RecordPayload(n)}));
    }
    return pack->Publish()->name;
  };
  const std::string copy = put({0, 1});
  // The old pack; of lower name, so that a new index knows it first.
  std::string old;
  for (int garbage = 10; old.empty() || old > copy; garbage += 2) {
    if (!old.empty()) {
      ASSERT_OK(store->Delete(vault::PackObject(old)));
    }
    old = put({0, garbage, garbage + 1});
  }
  store.reset();
  DropIndex();
  ASSERT_OK(Reuse("db", 1, 0, 2));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.packs_removed(), 1);
  for (int round = 0; round < 2; ++round) {
    ExpectReadable(0, 2);
    DropIndex();
  }
  EXPECT_EQ(Files("packs").size(), 1u);
}

TEST_F(VaultGc, EpochsGoOnAboveTheIndexWhenTheirFileIsLost) {
  MakeGarbage(20, 5);
  for (int round = 0; round < 3; ++round) ASSERT_OK(Gc());
  ASSERT_OK(Backup("db", 3, 100, 5));
  vault_.reset();
  ASSERT_OK(RemoveFile(directory_.Join("state/epoch")));
  Reopen();
  ASSERT_OK(Delete({IdOf("db", 3)}));
  ASSERT_OK_AND_ASSIGN(const auto result, Gc(true));
  EXPECT_EQ(result.records_condemned(), 20);  // also of the packs of the highest epoch known
  ExpectReadable(0, 5);
}

}  // namespace
}  // namespace ember::testing
