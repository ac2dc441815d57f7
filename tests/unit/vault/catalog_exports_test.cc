#include "common/vault/catalog_exports.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "ember/format/v1/format.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"

namespace ember::vault {
namespace {

using absl::StatusCode;
using ember::testing::HasCode;
using ember::testing::MemoryStore;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Export(uint64_t number, absl::string_view sealed = "sealed", uint32_t version = 1) {
  format::v1::ExportHeader header;
  header.set_version(version);
  header.set_estate_id("e1");
  header.set_number(number);
  *header.mutable_made() = rpc::ToTimestamp(absl::FromUnixSeconds(static_cast<int64_t>(number)));
  header.set_sealed_sha256(Sha256("sealed"));
  format::v1::CatalogExport whole;
  whole.set_header(header.SerializeAsString());
  whole.set_sealed(std::string(sealed));
  return whole.SerializeAsString();
}

class CatalogExportsTest : public ::testing::Test {
 protected:
  std::unique_ptr<CatalogExports> Load() {
    auto loaded = CatalogExports::Load(store_);
    EXPECT_OK(loaded);
    return *std::move(loaded);
  }
  MemoryStore store_;
};

TEST_F(CatalogExportsTest, KeepTheNewestAndRememberWhichItIs) {
  const auto exports = Load();
  EXPECT_EQ(exports->newest().number, 0u);
  for (uint64_t number = 1; number <= kExportsKept + 3; ++number)
    ASSERT_OK(exports->Take(Export(number << 32)));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, store_.List("catalog"));
  ASSERT_EQ(names.size(), kExportsKept);
  EXPECT_EQ(names[0], "catalog/0000000400000000");
  EXPECT_EQ(exports->newest().number, (kExportsKept + 3) << 32);
  const auto again = Load();
  EXPECT_EQ(again->newest().number, (kExportsKept + 3) << 32);
  EXPECT_EQ(again->newest().made, exports->newest().made);
}

TEST_F(CatalogExportsTest, AreNeverReplacedByOlderOnesOrByWhatIsNone) {
  const auto exports = Load();
  ASSERT_OK(exports->Take(Export(7)));
  EXPECT_THAT(exports->Take(Export(7)), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_THAT(exports->Take(Export(6)), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_THAT(exports->Take(Export(8, "rotten")), HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(exports->Take(Export(0)), HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(exports->Take("noise"), HasCode(StatusCode::kInvalidArgument));
  EXPECT_THAT(exports->Take(Export(9, "sealed", 2)), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_EQ(exports->newest().number, 7u);
}

TEST_F(CatalogExportsTest, ThatRottedCountAsAbsentAndAreReplaced) {
  ASSERT_OK(PutObject(store_, "catalog/0000000000000005", Export(5)));
  ASSERT_OK(PutObject(store_, "catalog/0000000000000006", Export(6, "rotten")));
  ASSERT_OK(PutObject(store_, "catalog/0000000000000007", Export(5)));
  const auto exports = Load();
  EXPECT_EQ(exports->newest().number, 5u);
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> damaged, exports->FindDamaged());
  EXPECT_THAT(damaged, ElementsAre("catalog/0000000000000006", "catalog/0000000000000007"));
  ASSERT_OK(exports->Take(Export(6)));
  ASSERT_OK(exports->Take(Export(7)));
  ASSERT_OK_AND_ASSIGN(damaged, exports->FindDamaged());
  EXPECT_THAT(damaged, IsEmpty());
}

}  // namespace
}  // namespace ember::vault
