// The whole way: files, chunks, a vault, and back.
#include <random>

#include "tests/unit/source/vault_rig.h"

namespace ember::testing {
namespace {

using ::testing::IsEmpty;

class VaultRoundTrip : public VaultRig {};

TEST_F(VaultRoundTrip, ANastyTreeComesBackBitForBit) {
  ASSERT_OK(MakeNastyTree(At("tree")));
  const auto source = Open({Files({At("tree")})});
  ASSERT_OK_AND_ASSIGN(const auto backup, BackUpToVault(source.get(), "web/20260101-000000"));
  EXPECT_EQ(backup.outcome(), v1::Outcome::OK);
  EXPECT_THAT(backup.problems(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto result, RestoreFromVault(source.get(), "web/20260101-000000",
                                                           {.target_directory = At("copy")}));
  EXPECT_THAT(CompareTrees(At("tree"), At("copy")), IsEmpty());
  EXPECT_THAT(result.holes(), IsEmpty());
  EXPECT_EQ(result.files(), backup.files());
}

TEST_F(VaultRoundTrip, TheSecondBackupTakesUnchangedFilesFromTheCacheAndKeepsAllOfThem) {
  ASSERT_OK(MakeNastyTree(At("tree")));
  const auto source = Open({Files({At("tree")})});
  ASSERT_OK(BackUpToVault(source.get(), "web/20260101-000000"));
  Make("tree/names/new", "new");
  ASSERT_OK_AND_ASSIGN(const auto second, BackUpToVault(source.get(), "web/20260101-000001"));
  EXPECT_LT(second.added_bytes(), 100000);
  ASSERT_OK(
      RestoreFromVault(source.get(), "web/20260101-000001", {.target_directory = At("copy")}));
  EXPECT_THAT(CompareTrees(At("tree"), At("copy")), IsEmpty());
}

TEST_F(VaultRoundTrip, ALinkWhoseFirstNameIsNotWantedStillHasItsContent) {
  Make("tree/a/first", std::string(5000, 'c'));
  std::filesystem::create_directory(At("tree/b"));
  for (const char* name : {"tree/b/second", "tree/b/third"}) {
    std::filesystem::create_hard_link(At("tree/a/first"), At(name));
  }
  const auto source = Open({Files({At("tree")})});
  ASSERT_OK(BackUpToVault(source.get(), "web/20260101-000000"));
  std::filesystem::remove_all(At("tree/b"));
  ASSERT_OK(RestoreFromVault(source.get(), "web/20260101-000000", {.paths = {At("tree/b")}}));
  EXPECT_EQ(Content("tree/b/second"), std::string(5000, 'c'));
  EXPECT_TRUE(std::filesystem::equivalent(At("tree/b/second"), At("tree/b/third")));
}

TEST_F(VaultRoundTrip, ADamagedRecordEndsTheRestoreUnlessHolesAreWanted) {
  std::string content;
  std::mt19937 random(1);  // does not compress
  for (int i = 0; i < 300000; ++i) content.push_back(static_cast<char>(random()));
  Make("tree/big", content);
  Make("tree/small", "small");
  const auto source = Open({Files({At("tree")})});
  ASSERT_OK(BackUpToVault(source.get(), "web/20260101-000000"));
  Make("tree/small", "changed");
  // The largest records are the chunks of the big file.
  vault_.ChangeStored([](v1::Record& record) { return record.ByteSizeLong() < 40000; });
  EXPECT_THAT(RestoreFromVault(source.get(), "web/20260101-000000", {}),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Content("tree/small"), "changed");
  EXPECT_THAT(Leftovers(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto result,
                       RestoreFromVault(source.get(), "web/20260101-000000", {.anyway = true}));
  ASSERT_EQ(result.holes_size(), 1);
  EXPECT_EQ(result.holes(0).path(), Entry("tree/big"));
  EXPECT_EQ(result.verified_files(), 1);
  EXPECT_EQ(Content("tree/small"), "small");
  EXPECT_EQ(Content("tree/big").size(), content.size());
}

}  // namespace
}  // namespace ember::testing
