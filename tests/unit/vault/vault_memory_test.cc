// A collection and a commit over a generated index, far larger than the tests beside it make: they
// must need little memory whatever the number of records. EMBER_LONG=1 makes it 100 million
// records, and the largest backup there may be.
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/vault/gc.h"
#include "common/vault/presence.h"
#include "common/vault/ref_set.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/resident_memory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::vault {
namespace {

using ember::testing::IsOk;
using ember::testing::PeakResidentBytes;

constexpr int64_t kResidentBytesMax = int64_t{512} << 20;
constexpr int kRecordsPerPack = 10000;
constexpr int kBackups = 8;  // each has an eighth of what is needed

bool IsLong() { return std::getenv("EMBER_LONG") != nullptr; }

class VaultMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, OpenDirectoryStore(directory_.Join("vault")));
    ASSERT_OK_AND_ASSIGN(state_, VaultState::Open(directory_.Join("state")));
    ASSERT_OK_AND_ASSIGN(index_, ChunkIndex::Open(directory_.Join("index"), "vault 1"));
    ASSERT_OK_AND_ASSIGN(backups_, StoredBackups::Load(*store_, *state_));
    ASSERT_OK_AND_ASSIGN(damaged_, DamagedIds::Open(directory_.Join("damaged")));
    ASSERT_OK_AND_ASSIGN(trash_, PackTrash::Load(*store_, clock_.Now()));
  }

  // Record `n` of `total`: spread evenly, so that reference sets come out sorted.
  static std::string Id(int64_t n, int64_t total) {
    const uint64_t head = ~uint64_t{0} / static_cast<uint64_t>(total) * static_cast<uint64_t>(n);
    std::string id;
    for (int shift = 56; shift >= 0; shift -= 8) id.push_back(static_cast<char>(head >> shift));
    id.resize(32, 'x');
    return id;
  }
  static bool IsNeeded(int64_t n) { return n % 5 != 0; }

  void FillIndex(int64_t total) {
    for (int64_t begin = 0; begin < total; begin += kRecordsPerPack) {
      format::v1::PackFooter table;
      auto* session = table.add_sessions();
      session->set_session_id("session-a-------");
      session->set_domain_id("host1");
      for (int64_t n = begin; n < std::min(total, begin + kRecordsPerPack); ++n) {
        auto* record = table.add_records();
        record->set_id(Id(n, total));
        record->set_offset(static_cast<uint64_t>(16 + 1000 * (n - begin)));
        record->set_length(900);
      }
      ASSERT_OK(index_->AddPack(Sha256Hex(absl::StrCat("pack ", begin)), 64 << 20, table,
                                [](const Location&, absl::string_view) { return true; }));
    }
  }

  // Of a backup that needs every `step`th record from `first` on, unless it is garbage.
  void FillRefs(int64_t first, int64_t step, int64_t total, NewRefSet& refs) {
    std::string piece;
    for (int64_t n = first; n < total; n += step) {
      if (IsNeeded(n)) piece += Id(n, total);
      if (piece.size() < 1 << 20 && n + step < total) continue;
      ASSERT_OK(refs.Append(piece));
      piece.clear();
    }
  }

  void PublishRefs(int64_t total) {
    for (int part = 0; part < kBackups; ++part) {
      NewRefSet refs(directory_.path(), "");
      FillRefs(part, kBackups, total, refs);
      ASSERT_OK(refs.Publish(
          *store_, BackupTail("host1", static_cast<uint64_t>(part) + 1, absl::StrCat("b", part))));
    }
  }

  // What the test needed itself is in it.
  static void ExpectLittleMemory(const char* what, int64_t records, int64_t before) {
    const int64_t peak = PeakResidentBytes();
    std::printf("%s of %lld records: peak %lld MiB, of which %lld MiB before\n", what,
                static_cast<long long>(records), static_cast<long long>(peak >> 20),
                static_cast<long long>(before >> 20));
    ASSERT_GT(before, 0);
    EXPECT_LE(peak, kResidentBytesMax);
  }

  ember::testing::FakeClock clock_;
  ember::testing::TempDir directory_;
  std::shared_ptr<ObjectStore> store_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<ChunkIndex> index_;
  std::unique_ptr<StoredBackups> backups_;
  std::unique_ptr<DamagedIds> damaged_;
  std::unique_ptr<PackTrash> trash_;
};

TEST_F(VaultMemoryTest, ARoundNeedsLittleMemoryWhateverTheNumberOfRecords) {
  const int64_t total = IsLong() ? 100'000'000 : 2'000'000;
  FillIndex(total);
  PublishRefs(total);
  if (HasFatalFailure()) return;
  // Nobody's session any more: what no reference set names is garbage.
  ASSERT_OK(state_->NextEpoch(clock_.Now()));
  ASSERT_OK(state_->NextEpoch(clock_.Now()));
  clock_.Advance(absl::Hours(kSessionLeaseHours + 1));
  SessionTable sessions(clock_);
  ReaderLeases readers;
  CommitGate gate;
  const JobContext context;  // outlives the round, which refers to it
  GarbageCollection round({.store = *store_,
                           .index = *index_,
                           .backups = *backups_,
                           .state = *state_,
                           .trash = *trash_,
                           .sessions = sessions,
                           .readers = readers,
                           .gate = gate,
                           .clock = clock_,
                           .trash_window = absl::Hours(1)},
                          context);
  const int64_t before = PeakResidentBytes();
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, round.Run({}));
  ExpectLittleMemory("collection", total, before);
  EXPECT_EQ(result.records_condemned(), (total + 4) / 5);
  EXPECT_EQ(result.packs_rewritten(), 0);
}

TEST_F(VaultMemoryTest, ACommitNeedsLittleMemoryWhateverTheNumberOfRecords) {
  const int64_t total = IsLong() ? int64_t{kCommitIdsMax} / 4 * 5 : 2'000'000;
  FillIndex(total);
  if (HasFatalFailure()) return;
  const int64_t before = PeakResidentBytes();
  const absl::Time began = absl::Now();
  NewRefSet refs(directory_.path(), Id(1, total));
  FillRefs(0, 1, total, refs);
  const int64_t needed = total / 5 * 4;
  ASSERT_OK(refs.CheckComplete(static_cast<uint64_t>(needed)));
  const absl::Time sent = absl::Now();
  Presence presence(*index_, *damaged_, *backups_);
  ASSERT_OK_AND_ASSIGN(
      const std::set<uint32_t> sessions,
      presence.SessionsOf([&refs](const PieceSink& sink) { return refs.Visit(sink); }, "host1",
                          Presence::Claim::kPin, [](absl::string_view) { FAIL() << "absent"; }));
  EXPECT_EQ(sessions.size(), 1u);
  format::v1::StoredBackupRecord record;
  record.set_backup_id("db/20260101-120000");
  record.set_workload("db");
  record.set_domain_id("host1");
  record.set_session_id("session-b-------");
  record.set_manifest_root(Id(1, total));
  ASSERT_OK(backups_->Publish(record, refs, clock_));
  ExpectLittleMemory("commit", needed, before);
  EXPECT_LE(absl::Now() - sent, absl::Seconds(kVaultCommitSeconds));
  std::printf("taken in %s, looked up, pinned and published in %s\n",
              absl::FormatDuration(sent - began).c_str(),
              absl::FormatDuration(absl::Now() - sent).c_str());
}

TEST_F(VaultMemoryTest, AFilterIsMadeSoonAndNotOfTooMuch) {
  FillIndex(kIdFilterIdsMax);
  if (HasFatalFailure()) return;
  Presence presence(*index_, *damaged_, *backups_);
  const int64_t before = PeakResidentBytes();
  const absl::Time began = absl::Now();
  ASSERT_OK_AND_ASSIGN(const std::string filter, presence.FilterOf("host1"));
  std::printf("a filter of %zu ids made in %s\n", kIdFilterIdsMax,
              absl::FormatDuration(absl::Now() - began).c_str());
  ExpectLittleMemory("filter", kIdFilterIdsMax, before);
  EXPECT_EQ(filter.size(), kIdFilterBytesMax);
  EXPECT_LT(absl::Now() - began, absl::Seconds(kVaultCallSeconds));
  ASSERT_OK_AND_ASSIGN(const std::string foreign, presence.FilterOf("host2"));
  EXPECT_LT(foreign.size(), 100u);

  format::v1::PackFooter table;
  table.add_sessions()->set_session_id("session-a-------");
  table.mutable_sessions(0)->set_domain_id("host1");
  auto* record = table.add_records();
  record->set_id(Sha256("one more"));
  record->set_offset(16);
  record->set_length(900);
  ASSERT_OK(index_->AddPack(Sha256Hex("one more"), 64 << 20, table,
                            [](const Location&, absl::string_view) { return true; }));
  ASSERT_OK_AND_ASSIGN(const std::string none, presence.FilterOf("host1"));
  EXPECT_EQ(none, "");
}

}  // namespace
}  // namespace ember::vault
