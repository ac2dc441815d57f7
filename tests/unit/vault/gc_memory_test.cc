// A round over a generated index, far larger than the tests beside it make: the mark must need
// little memory whatever the number of records. EMBER_LONG=1 makes it 100 million.
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "common/vault/gc.h"
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

class GcMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, OpenDirectoryStore(directory_.Join("vault")));
    ASSERT_OK_AND_ASSIGN(state_, VaultState::Open(directory_.Join("state")));
    ASSERT_OK_AND_ASSIGN(index_, ChunkIndex::Open(directory_.Join("index"), "vault 1"));
    ASSERT_OK_AND_ASSIGN(backups_, StoredBackups::Load(*store_, *state_));
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

  // Published piece by piece: a reference set may be larger than what the test may use.
  void PublishRefs(int64_t total) {
    for (int part = 0; part < kBackups; ++part) {
      const auto each = [&](const std::function<void(absl::string_view)>& visit) {
        std::string piece;
        for (int64_t n = part; n < total; n += kBackups) {
          if (IsNeeded(n)) piece += Id(n, total);
          if (piece.size() >= 1 << 20) {
            visit(piece);
            piece.clear();
          }
        }
        visit(piece);
      };
      const std::string head = Frame(kRefsMagic, "").substr(0, kFrameDigestAt);
      Sha256Stream digest;
      digest.Update(head);
      each([&](absl::string_view piece) { digest.Update(piece); });
      ASSERT_OK_AND_ASSIGN(auto writer, store_->Create());
      ASSERT_OK(writer->Append(head + digest.Finish()));
      absl::Status status;
      each([&](absl::string_view piece) { status.Update(writer->Append(piece)); });
      ASSERT_OK(status);
      ASSERT_OK(writer->Publish(BackupObject(
          kRefs, BackupTail("host1", static_cast<uint64_t>(part) + 1, absl::StrCat("b", part)))));
    }
  }

  ember::testing::FakeClock clock_;
  ember::testing::TempDir directory_;
  std::shared_ptr<ObjectStore> store_;
  std::unique_ptr<VaultState> state_;
  std::unique_ptr<ChunkIndex> index_;
  std::unique_ptr<StoredBackups> backups_;
  std::unique_ptr<PackTrash> trash_;
};

TEST_F(GcMemoryTest, ARoundNeedsLittleMemoryWhateverTheNumberOfRecords) {
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
  const int64_t peak = PeakResidentBytes();
  RecordProperty("peak_mib_before", static_cast<int>(before >> 20));
  RecordProperty("peak_mib", static_cast<int>(peak >> 20));
  EXPECT_EQ(result.records_condemned(), (total + 4) / 5);
  EXPECT_EQ(result.packs_rewritten(), 0);
  ASSERT_GT(before, 0);
  EXPECT_LE(peak, kResidentBytesMax);
  std::printf("%lld records: peak %lld MiB, of which %lld MiB before the round\n",
              static_cast<long long>(total), static_cast<long long>(peak >> 20),
              static_cast<long long>(before >> 20));
}

}  // namespace
}  // namespace ember::vault
