#include "common/vault/chunk_index.h"

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/crypto/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::vault {
namespace {

using ember::testing::HasCode;
using format::v1::PackFooter;

std::string Id(int n) { return Sha256(absl::StrCat("record ", n)); }

PackFooter Table(absl::string_view session, absl::string_view domain, int first, int count) {
  PackFooter table;
  auto* row = table.add_sessions();
  row->set_session_id(std::string(session));
  row->set_keybox(absl::StrCat("keybox of ", session));
  row->set_domain_id(std::string(domain));
  for (int i = 0; i < count; ++i) {
    auto* record = table.add_records();
    record->set_id(Id(first + i));
    record->set_type(1);
    record->set_offset(static_cast<uint64_t>(16 + 100 * i));
    record->set_length(28);
  }
  return table;
}

bool Intact(const Location&, absl::string_view) { return true; }
bool Broken(const Location&, absl::string_view) { return false; }

class ChunkIndexTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    index_.reset();
    ASSERT_OK_AND_ASSIGN(index_, ChunkIndex::Open(directory_.Join("index"), "vault 1"));
  }
  std::optional<Location> Find(int n) { return (*index_->Find({Id(n)}))[0]; }
  static std::string Name(char c) { return std::string(64, c); }

  ember::testing::TempDir directory_;
  std::unique_ptr<ChunkIndex> index_;
};

TEST_F(ChunkIndexTest, FindsWhatPacksHoldAlsoAfterItWasReopened) {
  ASSERT_OK(index_->AddPack(Name('a'), 5000, Table("session-a-------", "host1", 0, 2500), Intact));
  ASSERT_OK(index_->AddPack(Name('b'), 700, Table("session-b-------", "host2", 5000, 3), Intact));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(index_->PackName(Find(2499)->pack), Name('a'));
    EXPECT_EQ(Find(2499)->offset, 16u + 249900u);
    EXPECT_EQ(index_->PackName(Find(5001)->pack), Name('b'));
    EXPECT_EQ(index_->SessionOf(Find(5001)->session).domain_id(), "host2");
    EXPECT_EQ(Find(2500), std::nullopt);
    EXPECT_THAT(index_->PackNames(), ::testing::ElementsAre(Name('a'), Name('b')));
    EXPECT_EQ(index_->FindSession("session-a-------")->keybox(), "keybox of session-a-------");
    EXPECT_EQ(index_->FindSession("session-c-------"), std::nullopt);
    EXPECT_THAT(index_->PacksOf("session-b-------").names, ::testing::ElementsAre(Name('b')));
    EXPECT_EQ(index_->PacksOf("session-b-------").bytes, 700u);
    EXPECT_TRUE(index_->HasDomain("host1"));
    EXPECT_FALSE(index_->HasDomain("host3"));
    Reopen();
  }
}

TEST_F(ChunkIndexTest, AnIntactCopyStaysWhereItIs) {
  ASSERT_OK(index_->AddPack(Name('a'), 1, Table("session-a-------", "host1", 0, 3), Intact));
  ASSERT_OK(index_->AddPack(Name('b'), 1, Table("session-b-------", "host1", 2, 3), Intact));
  EXPECT_EQ(index_->PackName(Find(2)->pack), Name('a'));
  EXPECT_EQ(index_->PackName(Find(3)->pack), Name('b'));
}

TEST_F(ChunkIndexTest, ADamagedCopyIsReplaced) {
  ASSERT_OK(index_->AddPack(Name('a'), 1, Table("session-a-------", "host1", 0, 3), Intact));
  ASSERT_OK(index_->AddPack(Name('b'), 1, Table("session-b-------", "host1", 2, 3), Broken));
  EXPECT_EQ(index_->PackName(Find(2)->pack), Name('b'));
  EXPECT_EQ(index_->PackName(Find(1)->pack), Name('a'));
}

TEST_F(ChunkIndexTest, AKnownPackIsNotAddedTwice) {
  ASSERT_OK(index_->AddPack(Name('a'), 1, Table("session-a-------", "host1", 0, 3), Intact));
  ASSERT_OK(index_->AddPack(Name('a'), 1, Table("session-a-------", "host1", 0, 3), Broken));
  EXPECT_EQ(index_->PackNames().size(), 1u);
  EXPECT_EQ(index_->PacksOf("session-a-------").bytes, 1u);
}

TEST_F(ChunkIndexTest, AnIntactPackCompletesASessionKnownByIdOnly) {
  PackFooter bare = Table("session-a-------", "", 0, 1);
  bare.mutable_sessions(0)->clear_keybox();
  ASSERT_OK(index_->AddPack(Name('a'), 1, bare, Intact));
  ASSERT_OK(index_->AddPack(Name('b'), 1, Table("session-a-------", "host1", 1, 1), Intact));
  Reopen();
  EXPECT_EQ(index_->FindSession("session-a-------")->domain_id(), "host1");
  EXPECT_EQ(index_->SessionOf(Find(0)->session).keybox(), "keybox of session-a-------");
}

TEST_F(ChunkIndexTest, AnotherVaultsIndexIsNotUsed) {
  index_.reset();
  EXPECT_THAT(ChunkIndex::Open(directory_.Join("index"), "vault 2"),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(ChunkIndexTest, DestroyRemovesTheIndexAndNothingElse) {
  ASSERT_OK(index_->AddPack(Name('a'), 1, Table("session-a-------", "host1", 0, 3), Intact));
  index_.reset();
  ASSERT_OK(WriteFileAtomic(directory_.Join("index/notes.txt"), "mine"));
  ASSERT_OK(ChunkIndex::Destroy(directory_.Join("index")));
  EXPECT_TRUE(FileExists(directory_.Join("index/notes.txt")));
  Reopen();
  EXPECT_THAT(index_->PackNames(), ::testing::IsEmpty());
  EXPECT_EQ(Find(0), std::nullopt);
}

TEST_F(ChunkIndexTest, AGarbledDatabaseIsAnErrorNotACrash) {
  index_.reset();
  ASSERT_OK(WriteFileAtomic(directory_.Join("index/CURRENT"), "MANIFEST-nonsense\n"));
  EXPECT_FALSE(ChunkIndex::Open(directory_.Join("index"), "vault 1").ok());
  ASSERT_OK(ChunkIndex::Destroy(directory_.Join("index")));
  EXPECT_OK(ChunkIndex::Open(directory_.Join("index"), "vault 1"));
}

}  // namespace
}  // namespace ember::vault
