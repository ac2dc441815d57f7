// A backup of far more files, or records, than the tests beside it have, first and unchanged, into
// a vault served by this process: agent and vault together stay within the agent's memory, whatever
// their number. EMBER_LONG=1 makes it 10 million files, or 2.25 million records.
#include <cstdlib>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/allocator.h"
#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/resident_memory.h"
#include "tests/support/served_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::backup {
namespace {

using ember::testing::BackupBench;
using ember::testing::IsOk;
using ember::testing::PeakResidentBytes;
using ember::testing::ServedVault;

// What an agent may have; here it has its vault with it.
constexpr int64_t kResidentBytesMax = int64_t{256} << 20;
// What a vault may have; here it has its agent with it.
constexpr int64_t kVaultResidentBytesMax = int64_t{512} << 20;
constexpr int kFilesPerDirectory = 1000;

// One small file, made up when it is read.
class OneFile : public FileContent {
 public:
  explicit OneFile(std::string bytes) : bytes_(std::move(bytes)) {}
  absl::StatusOr<Piece> Next(absl::Span<char> buffer) override {
    const Piece piece{.offset = 0, .size = bytes_.copy(buffer.data(), buffer.size())};
    bytes_.clear();
    return piece;
  }
  absl::StatusOr<bool> Settled(format::v1::Entry*, SourceStamp*) override { return true; }

 private:
  std::string bytes_;
};

// Of file `n`.
using Content = std::function<std::string(int64_t n)>;

// Half of the files stand in the manifest, half in groups.
std::string SmallContent(int64_t n) {
  return absl::StrCat("file ", n,
                      std::string(n % 2 == 0 ? 20 : 700, static_cast<char>('a' + n % 23)));
}

// Each is a record of its own, and quickly compressed.
std::string RecordContent(int64_t n) {
  return absl::StrCat("file ", n, std::string(kGroupedFileBytesMax + 1, 'x'));
}

// As the walk does: what is unchanged is not opened.
absl::Status Walk(int64_t files, const Content& content, BackupWriter* writer, int64_t* opened) {
  for (int64_t n = 0; n < files; ++n) {
    format::v1::Entry entry;
    entry.set_path(absl::StrFormat("data/%08d/%08d", n / kFilesPerDirectory, n));
    entry.set_type(format::v1::EntryType::FILE);
    entry.set_mode(0644);
    entry.set_user("somebody");
    entry.set_group("people");
    entry.set_mtime_seconds(1700000000 + n);
    entry.set_ctime_seconds(1700000000 + n);
    entry.set_size(static_cast<int64_t>(content(n).size()));
    const SourceStamp stamp{.file_system = "fs-1",
                            .inode = static_cast<uint64_t>(n + 2),
                            .size = entry.size(),
                            .mtime_seconds = entry.mtime_seconds(),
                            .ctime_seconds = entry.ctime_seconds(),
                            .covers_metadata = true};
    const absl::StatusOr<bool> unchanged = writer->AddUnchanged(entry, stamp);
    if (!unchanged.ok()) return unchanged.status();
    if (*unchanged) continue;
    ++*opened;
    const absl::Status added = writer->Add(std::move(entry), stamp, [n, &content] {
      return absl::StatusOr<std::unique_ptr<FileContent>>(std::make_unique<OneFile>(content(n)));
    });
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

// First and unchanged.
void BackUpTwice(int64_t files, const Content& content, int64_t resident_bytes_max) {
  ServedVault vault;
  BackupBench bench;
  for (const char* id : {"web/20260101-000000", "web/20260102-000000"}) {
    const int64_t before = PeakResidentBytes();
    ASSERT_OK_AND_ASSIGN(const auto writer, BackupWriter::Open(bench.Options(id), vault.port()));
    int64_t opened = 0;
    ASSERT_OK(Walk(files, content, writer.get(), &opened));
    ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, writer->Commit());
    EXPECT_EQ(result.files(), files);
    EXPECT_TRUE(result.read_back_ok());
    const int64_t peak = PeakResidentBytes();
    std::printf("%s: %lld files, %lld opened, peak %lld MiB, %lld before\n", id,
                static_cast<long long>(files), static_cast<long long>(opened),
                static_cast<long long>(peak >> 20), static_cast<long long>(before >> 20));
    EXPECT_LE(peak, resident_bytes_max);
    bench.clock.Advance(absl::Hours(24));
  }
}

bool IsLong() { return std::getenv("EMBER_LONG") != nullptr; }

// As main() of the agent does.
class BackupMemory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { LimitAllocator(); }
};

TEST_F(BackupMemory, StaysWithinItsBoundWhateverTheNumberOfFiles) {
  BackUpTwice(IsLong() ? 10'000'000 : 200'000, SmallContent, kResidentBytesMax);
}

TEST_F(BackupMemory, StaysWithinItsBoundWhateverTheNumberOfRecords) {
  // More than a backup knows to be in the vault without asking.
  BackUpTwice(IsLong() ? kKnownIdsMax / 4 * 5 : 20'000, RecordContent, kVaultResidentBytesMax);
}

}  // namespace
}  // namespace ember::backup
