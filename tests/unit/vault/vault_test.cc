#include "common/vault/vault.h"

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "tests/support/eventually.h"
#include "tests/unit/vault/failing_store.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class VaultTest : public VaultFixture {};

TEST_F(VaultTest, GivesBackWhatWasCommitted) {
  ASSERT_OK_AND_ASSIGN(const auto reply, Backup("db", 1, 0, 100));
  EXPECT_THAT(reply.need(), IsEmpty());
  EXPECT_EQ(reply.sequence(), 1u);
  EXPECT_GT(reply.added_bytes(), 0);
  ExpectReadable(0, 100);
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup backup, vault_->GetBackup(IdOf("db", 1)));
  EXPECT_EQ(backup.manifest_root(), SortedIds(0, 100)[0]);
  EXPECT_EQ(backup.sealed_summary(), "sealed summary");
  EXPECT_EQ(backup.summary_nonce(), 7u);
  EXPECT_EQ(backup.ids_total(), 100u);
  EXPECT_EQ(backup.workload(), "db");
  ASSERT_EQ(backup.keyboxes_size(), 1);
  EXPECT_EQ(backup.keyboxes(0).sealed(), "keybox db1");
  const v1::Record record = Read({RecordId(42)}).records.at(RecordId(42));
  EXPECT_EQ(record.nonce(), 42u);
  EXPECT_EQ(record.session_id(), backup.session_id());
}

TEST_F(VaultTest, ASyncedRecordIsPresentAnUnsyncedOneIsNot) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  EXPECT_TRUE(session.reply.domain_empty());
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  EXPECT_EQ(CountAbsent(session, 0, 10), 10);
  ASSERT_OK_AND_ASSIGN(const int64_t stored, vault_->Sync(session.request.session_id()));
  EXPECT_GT(stored, 0);
  EXPECT_EQ(CountAbsent(session, 0, 12), 2);
  ASSERT_OK_AND_ASSIGN(const auto next, Open(SessionRequest("db", 2)));
  EXPECT_FALSE(next.reply.domain_empty());
}

TEST_F(VaultTest, CommitAsksForWhatIsMissing) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 9)));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 10)));
  EXPECT_THAT(reply.need(), ElementsAre(RecordId(9)));
  EXPECT_EQ(reply.sequence(), 0u);
  EXPECT_THAT(vault_->GetBackup(IdOf("db", 1)), HasCode(StatusCode::kNotFound));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 9, 1)));
  ASSERT_OK_AND_ASSIGN(const auto again, Commit(session, SortedIds(0, 10)));
  EXPECT_THAT(again.need(), IsEmpty());
  EXPECT_OK(vault_->GetBackup(IdOf("db", 1)));
}

TEST_F(VaultTest, ARepeatedCommitGetsTheSameReply) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 10)));
  ASSERT_OK_AND_ASSIGN(const auto first, Commit(session, SortedIds(0, 10)));
  clock_.Advance(absl::Seconds(5));
  ASSERT_OK_AND_ASSIGN(const auto second, Commit(session, SortedIds(0, 10)));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto third, Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  EXPECT_EQ(first.SerializeAsString(), third.SerializeAsString());
  EXPECT_EQ(vault_->Facts().backups(), 1);
  EXPECT_THAT(Commit(session, SortedIds(0, 9)), HasCode(StatusCode::kAlreadyExists));
}

TEST_F(VaultTest, NeverOverwritesABackup) {
  ASSERT_OK(Backup("db", 1, 0, 3));
  auto request = SessionRequest("db", 1);
  request.set_session_id("another-session-");
  EXPECT_THAT(Open(request), HasCode(StatusCode::kAlreadyExists));
  Reopen();
  EXPECT_THAT(Open(request), HasCode(StatusCode::kAlreadyExists));
}

TEST_F(VaultTest, ASessionIdKeepsItsKey) {
  ASSERT_OK(Backup("db", 1, 0, 3));
  auto request = SessionRequest("web", 2);
  request.set_session_id(SessionRequest("db", 1).session_id());
  EXPECT_THAT(Open(request), HasCode(StatusCode::kAlreadyExists));
  EXPECT_THAT(Open(request, "host2"), ::testing::Not(IsOk()));
}

TEST_F(VaultTest, AnIncrementalBackupCarriesTheKeyboxesOfAllItsSessions) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  EXPECT_EQ(CountAbsent(session, 0, 15), 5);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 10, 5)));
  ASSERT_OK(Commit(session, SortedIds(0, 15)));
  ASSERT_OK_AND_ASSIGN(const auto backup, vault_->GetBackup(IdOf("db", 2)));
  std::vector<std::string> keyboxes;
  for (const auto& keybox : backup.keyboxes()) keyboxes.push_back(keybox.sealed());
  EXPECT_THAT(keyboxes, ::testing::UnorderedElementsAre("keybox db1", "keybox db2"));
}

TEST_F(VaultTest, ABackupThatAddsNothingStillHasTheKeyOfItsSummary) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(reply.added_bytes(), 0);
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto backup, vault_->GetBackup(IdOf("db", 2)));
  EXPECT_EQ(backup.keyboxes_size(), 2);
}

TEST_F(VaultTest, KnowsAParentByItsRoot) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  const std::string root = SortedIds(0, 10)[0];
  for (int round = 2; round < 4; ++round) {
    auto request = SessionRequest("db", round);
    request.set_parent_root(root);
    EXPECT_TRUE(Open(request)->reply.parent_present());
    request.set_parent_root(RecordId(999));
    EXPECT_FALSE(Open(request)->reply.parent_present());
    request.set_parent_root(root);
    request.set_domain_id("host2");
    request.set_session_id("other-domain-ses");
    EXPECT_FALSE(Open(request)->reply.parent_present());
    Reopen();
  }
}

TEST_F(VaultTest, DomainsDoNotShareRecords) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  auto request = SessionRequest("web", 1);
  request.set_domain_id("host2");
  ASSERT_OK_AND_ASSIGN(const auto session, Open(request));
  EXPECT_TRUE(session.reply.domain_empty());
  EXPECT_EQ(CountAbsent(session, 0, 10), 10);
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 10)));
  EXPECT_EQ(reply.need_size(), 10);
}

TEST_F(VaultTest, ANewerSessionEndsTheOlder) {
  ASSERT_OK_AND_ASSIGN(const auto older, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(older, 0, 10)));
  ASSERT_OK_AND_ASSIGN(const auto other, Open(SessionRequest("web", 1)));
  ASSERT_OK_AND_ASSIGN(const auto newer, Open(SessionRequest("db", 2)));
  EXPECT_GT(newer.reply.token(), older.reply.token());
  EXPECT_THAT(vault_->Append("host1", UploadOf(older, 10, 1)), HasCode(StatusCode::kAborted));
  EXPECT_THAT(vault_->Sync(older.request.session_id()), HasCode(StatusCode::kAborted));
  EXPECT_THAT(Commit(older, SortedIds(0, 10)), HasCode(StatusCode::kAborted));
  EXPECT_OK(vault_->Append("host1", UploadOf(newer, 0, 10)));
  EXPECT_OK(vault_->Append("host1", UploadOf(other, 20, 1)));
  EXPECT_THAT(Files("tmp"), ::testing::SizeIs(::testing::Le(3)));  // the older one's are gone
}

TEST_F(VaultTest, TokensRiseAcrossRestarts) {
  ASSERT_OK_AND_ASSIGN(const auto before, Open(SessionRequest("db", 1)));
  Reopen();
  EXPECT_THAT(vault_->Append("host1", UploadOf(before, 0, 1)), HasCode(StatusCode::kAborted));
  ASSERT_OK_AND_ASSIGN(const auto after, Open(SessionRequest("db", 1)));
  EXPECT_GT(after.reply.token(), before.reply.token());
  EXPECT_THAT(vault_->Append("host1", UploadOf(before, 0, 1)), HasCode(StatusCode::kAborted));
}

TEST_F(VaultTest, ALowerEpochIsRefusedForEver) {
  auto request = SessionRequest("db", 1);
  request.set_epoch(5);
  ASSERT_OK(Open(request, "host2"));
  request = SessionRequest("db", 2);
  request.set_epoch(4);
  EXPECT_THAT(Open(request), HasCode(StatusCode::kAborted));
  Reopen();
  EXPECT_THAT(Open(request), HasCode(StatusCode::kAborted));
  request.set_epoch(5);
  EXPECT_OK(Open(request));
}

TEST_F(VaultTest, ASessionBelongsToItsNode) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  EXPECT_THAT(vault_->Append("host2", UploadOf(session, 0, 1)),
              HasCode(StatusCode::kPermissionDenied));
  EXPECT_THAT(Commit(session, SortedIds(0, 1), "host2"), HasCode(StatusCode::kPermissionDenied));
  v1::HaveRequest have;
  have.set_session_id(session.request.session_id());
  have.set_token(session.reply.token());
  EXPECT_THAT(vault_->Have("host2", have), HasCode(StatusCode::kPermissionDenied));
  EXPECT_THAT(Open(SessionRequest("db", 1), "host2"), HasCode(StatusCode::kPermissionDenied));
}

TEST_F(VaultTest, SequenceAndReceiveTimeNeverGoBack) {
  absl::Time last = absl::InfinitePast();
  for (int n = 1; n <= 6; ++n) {
    ASSERT_OK_AND_ASSIGN(const auto reply, Backup("db", n, n * 10, 5));
    EXPECT_EQ(reply.sequence(), static_cast<uint64_t>(n));
    EXPECT_GT(rpc::FromTimestamp(reply.received()), last);
    last = rpc::FromTimestamp(reply.received());
    clock_.JumpWall(n % 2 == 0 ? absl::Hours(1) : -absl::Hours(24));
    if (n >= 3) Reopen();
    // Even when the small state is lost, the stored backups still count.
    if (n == 4) {
      vault_.reset();
      ASSERT_OK(RemoveFile(directory_.Join("state/sequence")));
      Reopen();
    }
  }
}

TEST_F(VaultTest, ListsByWorkloadInOrderOfSequence) {
  ASSERT_OK(Backup("db", 5, 0, 2));
  ASSERT_OK(Backup("db2", 1, 2, 2));
  ASSERT_OK(Backup("db", 1, 4, 2));
  const auto ids = [this](const std::string& workload) {
    std::vector<std::string> found;
    const auto reply = vault_->ListBackups(workload);
    for (const auto& item : reply->items()) found.push_back(item.backup_id());
    return found;
  };
  EXPECT_THAT(ids("db"), ElementsAre(IdOf("db", 5), IdOf("db", 1)));
  EXPECT_THAT(ids(""), ElementsAre(IdOf("db", 5), IdOf("db2", 1), IdOf("db", 1)));
  EXPECT_THAT(ids("nothing"), IsEmpty());
  EXPECT_THAT(vault_->ListBackups("../x"), HasCode(StatusCode::kInvalidArgument));
}

TEST_F(VaultTest, ReadSaysWhatIsAbsentAndGoesOn) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  const auto result = Read({RecordId(3), RecordId(77), RecordId(4), RecordId(3)});
  EXPECT_EQ(result.payloads.size(), 2u);
  EXPECT_TRUE(result.problems.at(RecordId(77)).absent());
}

TEST_F(VaultTest, ReadBackOfASessionGivesItsRecordsOnly) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  ASSERT_OK(Backup("db", 2, 10, 20));
  v1::ReadRequest request;
  request.set_only_session(SessionRequest("db", 2).session_id());
  const auto result = Read(*vault_, request);
  EXPECT_EQ(result.payloads.size(), 20u);
  EXPECT_EQ(result.payloads.at(RecordId(29)), RecordPayload(29));
  request.set_only_session("never-was-opened");
  EXPECT_EQ(Read(*vault_, request).payloads.size(), 0u);
}

TEST_F(VaultTest, ReadStopsAtTheErrorOfTheSink) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  v1::ReadRequest request;
  request.add_ids(RecordId(1));
  EXPECT_THAT(
      vault_->Read(request, "", [](v1::ReadReply&&) { return absl::CancelledError("gone"); }),
      HasCode(StatusCode::kCancelled));
}

TEST_F(VaultTest, LargeRecordsTravelInSeveralReplies) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  for (int n = 0; n < 10; ++n) {
    auto upload = UploadOf(session, n, 1);
    upload.mutable_records(0)->set_payload(
        std::string(kRecordBytesMax, static_cast<char>('a' + n)));
    ASSERT_OK(vault_->Append("host1", upload));
  }
  ASSERT_OK(Commit(session, SortedIds(0, 10)));
  v1::ReadRequest request;
  for (int n = 0; n < 10; ++n) request.add_ids(RecordId(n));
  size_t replies = 0;
  size_t records = 0;
  ASSERT_OK(vault_->Read(request, "", [&](v1::ReadReply&& reply) {
    ++replies;
    records += static_cast<size_t>(reply.records_size());
    EXPECT_LT(reply.ByteSizeLong(), kGrpcMessageBytesMax);
    return absl::OkStatus();
  }));
  EXPECT_EQ(records, 10u);
  EXPECT_GT(replies, 3u);
}

TEST_F(VaultTest, AFullPackIsPublishedByItself) {
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  const int enough = static_cast<int>(kOpenPacks * kPackBytes / (1 << 20)) + 2;
  for (int n = 0; n < enough; ++n) {
    auto upload = UploadOf(session, n, 1);
    upload.mutable_records(0)->set_payload(std::string(1 << 20, 'x'));
    ASSERT_OK(vault_->Append("host1", upload));
  }
  EXPECT_TRUE(Eventually([&] { return CountAbsent(session, 0, enough) < enough; }));
  for (const std::string& pack : Files("packs")) {
    const uintmax_t with_parity = (kPackBytes + kRecordBytesMax) / 100 * 106;
    EXPECT_LE(std::filesystem::file_size(pack), with_parity + (1 << 20));
  }
}

// Holds back every pack until it is let go.
class SlowStore : public FailingStore {
 public:
  explicit SlowStore(std::unique_ptr<vault::ObjectStore> inner)
      : FailingStore(std::move(inner), plan_) {}
  absl::StatusOr<std::unique_ptr<vault::ObjectWriter>> Create() override {
    EMBER_ASSIGN_OR_RETURN(auto writer, FailingStore::Create());
    return std::make_unique<Writer>(std::move(writer), *this);
  }
  absl::Notification let_go;
  std::atomic<int> held{0};
  std::atomic<bool> broken{false};

 private:
  class Writer : public vault::ObjectWriter {
   public:
    Writer(std::unique_ptr<vault::ObjectWriter> inner, SlowStore& store)
        : inner_(std::move(inner)), store_(store) {}
    absl::Status Append(absl::string_view data) override { return inner_->Append(data); }
    absl::Status Publish(absl::string_view name) override {
      if (name.rfind("packs/", 0) == 0) {
        ++store_.held;
        store_.let_go.WaitForNotification();
        if (store_.broken) return absl::InternalError("the disk is broken");
      }
      return inner_->Publish(name);
    }
    absl::Status Replace(absl::string_view name) override { return inner_->Replace(name); }

   private:
    std::unique_ptr<vault::ObjectWriter> inner_;
    SlowStore& store_;
  };
  FailurePlan plan_;
};

class SlowVault : public VaultFixture {
 protected:
  vault::VaultOptions Options(const std::string& directory) override {
    auto store = std::make_shared<SlowStore>(*vault::OpenDirectoryStore(directory));
    store_ = store.get();
    vault::VaultOptions options = VaultFixture::Options(directory);
    options.store = std::move(store);
    return options;
  }
  // One record more than the open packs can hold without one of them being full.
  absl::Status AppendMoreThanFits(const ClientSession& session) {
    const int enough = static_cast<int>(kOpenPacks * kPackBytes / (1 << 20)) + 2;
    for (int n = 0; n < enough; ++n) {
      v1::UploadRequest upload = UploadOf(session, n, 1);
      upload.mutable_records(0)->set_payload(std::string(1 << 20, 'x'));
      EMBER_RETURN_IF_ERROR(vault_->Append("host1", upload));
    }
    count_ = enough;
    return absl::OkStatus();
  }
  SlowStore* store_ = nullptr;
  int count_ = 0;
};

TEST_F(SlowVault, WhoSendsDoesNotWaitForTheDisk) {
  ASSERT_OK_AND_ASSIGN(const ClientSession session, Open(SessionRequest("db", 1)));
  ASSERT_OK(AppendMoreThanFits(session));
  EXPECT_TRUE(Eventually([&] { return store_->held > 0; })) << "no pack was full";
  store_->let_go.Notify();
  ASSERT_OK(Commit(session, SortedIds(0, count_)));
  Reopen();
  store_->let_go.Notify();
  EXPECT_EQ(vault_->Facts().backups(), 1);
}

TEST_F(SlowVault, WhatTheDiskRefusedMeanwhileIsSaidAndNothingIsCommitted) {
  ASSERT_OK_AND_ASSIGN(const ClientSession session, Open(SessionRequest("db", 1)));
  ASSERT_OK(AppendMoreThanFits(session));
  store_->broken = true;
  store_->let_go.Notify();
  EXPECT_THAT(Commit(session, SortedIds(0, count_)), HasCode(StatusCode::kInternal));
  EXPECT_THAT(vault_->Append("host1", UploadOf(session, 0, 1)), HasCode(StatusCode::kInternal));
  store_->broken = false;
  EXPECT_THAT(vault_->Sync(session.request.session_id()), HasCode(StatusCode::kInternal))
      << "what was lost stays lost until the session is opened again";
}

TEST_F(SlowVault, ANewerSessionWaitsForThePacksOfTheOlder) {
  ASSERT_OK_AND_ASSIGN(const ClientSession session, Open(SessionRequest("db", 1)));
  ASSERT_OK(AppendMoreThanFits(session));
  EXPECT_TRUE(Eventually([&] { return store_->held > 0; }));
  std::atomic<bool> opened{false};
  std::thread newer([&] {
    EXPECT_OK(Open(SessionRequest("db", 2)));
    opened = true;
  });
  EXPECT_FALSE(opened);
  store_->let_go.Notify();
  newer.join();
  EXPECT_GE(Files("packs").size(), 1u);
}

TEST_F(VaultTest, RefusesRequestsThatMakeNoSense) {
  const auto expect_invalid = [](const auto& result) {
    EXPECT_THAT(result, HasCode(StatusCode::kInvalidArgument));
  };
  for (const auto& spoil : std::vector<std::function<void(v1::OpenSessionRequest&)>>{
           [](auto& r) { r.set_domain_id("../../etc"); }, [](auto& r) { r.set_domain_id(""); },
           [](auto& r) { r.set_workload("a/b"); }, [](auto& r) { r.set_workload("other"); },
           [](auto& r) { r.set_backup_id("db"); }, [](auto& r) { r.set_backup_id("db/../../x"); },
           [](auto& r) { r.set_session_id("short"); }, [](auto& r) { r.clear_keybox(); },
           [](auto& r) { r.set_keybox(std::string(kKeyboxBytesMax + 1, 'k')); },
           [](auto& r) { r.set_parent_root("short"); }}) {
    auto request = SessionRequest("db", 1);
    spoil(request);
    expect_invalid(Open(request));
  }
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 1)));
  for (const auto& spoil : std::vector<std::function<void(v1::Record&)>>{
           [](auto& r) { r.set_id("short"); }, [](auto& r) { r.set_type(0); },
           [](auto& r) { r.set_type(70000); }, [](auto& r) { r.clear_payload(); },
           [](auto& r) { r.set_payload(std::string(kRecordBytesMax + 1, 'x')); }}) {
    auto upload = UploadOf(session, 0, 2);
    spoil(*upload.mutable_records(1));
    expect_invalid(vault_->Append("host1", upload));
  }
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 4)));
  std::vector<std::string> ids = SortedIds(0, 4);
  std::swap(ids[1], ids[2]);
  expect_invalid(Commit(session, ids));
  ids = SortedIds(0, 4);
  ids[1] = ids[0];
  expect_invalid(Commit(session, ids));
  ids = SortedIds(0, 4);
  ids[3] += "x";
  expect_invalid(Commit(session, ids));
  ids = SortedIds(0, 4);
  auto header = HeaderOf(ids);
  header.set_ids_total(5);
  expect_invalid(vault_->Commit("host1", session.request.session_id(), session.reply.token(),
                                header, PiecesOf(ids)));
  header = HeaderOf(ids);
  header.set_manifest_root(RecordId(9));
  expect_invalid(vault_->Commit("host1", session.request.session_id(), session.reply.token(),
                                header, PiecesOf(ids)));
  expect_invalid(Commit(session, {}));
  v1::HaveRequest have;
  have.set_session_id(session.request.session_id());
  have.set_token(session.reply.token());
  have.add_ids("short");
  expect_invalid(vault_->Have("host1", have));
  have.clear_ids();
  for (size_t n = 0; n <= kHaveBatchMax; ++n) have.add_ids(RecordId(1));
  expect_invalid(vault_->Have("host1", have));
  EXPECT_OK(Commit(session, SortedIds(0, 4)));
}

TEST_F(VaultTest, IsOpenedByOneProcessAtATime) {
  EXPECT_THAT(vault::Vault::Open(Options(directory_.path())), HasCode(StatusCode::kUnavailable));
}

TEST_F(VaultTest, FactsTellSpaceAndBackups) {
  ASSERT_OK(Backup("db", 1, 0, 10));
  const v1::VaultFact fact = vault_->Facts();
  EXPECT_EQ(fact.vault(), "nas");
  EXPECT_EQ(fact.problem(), "");
  EXPECT_EQ(fact.backups(), 1);
  EXPECT_GT(fact.used_bytes(), 0);
  EXPECT_GT(fact.free_bytes(), 0);
}

TEST_F(VaultTest, ManySessionsWorkSideBySide) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([this, t] {
      const std::string workload = absl::StrCat("w", t);
      for (int n = 0; n < 4; ++n) {
        // Neighbours upload overlapping records, so that copies race.
        EXPECT_OK(Backup(workload, n, t * 20 + n * 5, 40));
        EXPECT_OK(vault_->ListBackups(""));
        ExpectReadable(t * 20, 10);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(vault_->Facts().backups(), 24);
  std::set<uint64_t> sequences;
  ASSERT_OK_AND_ASSIGN(const auto all, vault_->ListBackups(""));
  for (const auto& item : all.items()) sequences.insert(item.sequence());
  EXPECT_EQ(sequences.size(), 24u);
  Reopen();
  EXPECT_EQ(vault_->Facts().backups(), 24);
  ExpectReadable(0, 155);
}

TEST_F(VaultTest, OneWorkloadOpenedFromManyThreadsHasOneCurrentSession) {
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<ClientSession>> sessions(8, absl::UnknownError("not opened"));
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t, &sessions] { sessions[t] = Open(SessionRequest("db", t)); });
  }
  for (std::thread& thread : threads) thread.join();
  int current = 0;
  for (const auto& session : sessions) {
    if (session.ok() && vault_->Append("host1", UploadOf(*session, 0, 1)).ok()) ++current;
  }
  EXPECT_EQ(current, 1);
}

}  // namespace
}  // namespace ember::testing
