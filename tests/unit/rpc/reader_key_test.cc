#include "common/rpc/reader_key.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::rpc {
namespace {

using testing::HasCode;

TEST(ReaderKey, OnlyWhoAskedCanReadAndOnlyWhatWasAskedFor) {
  const ReaderKey key;
  const ReaderKey other;
  const std::string secret(1 << 20, 's');
  ASSERT_OK_AND_ASSIGN(const std::string sealed,
                       SealForReader(key.public_key(), "db/1", "/a", 7, secret));
  EXPECT_EQ(sealed.find("ssss"), std::string::npos);
  ASSERT_OK_AND_ASSIGN(const std::string opened, key.Open("db/1", "/a", 7, sealed));
  EXPECT_EQ(opened, secret);
  EXPECT_THAT(other.Open("db/1", "/a", 7, sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(key.Open("db/2", "/a", 7, sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(key.Open("db/1", "/b", 7, sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(key.Open("db/1", "/a", 8, sealed), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(SealForReader("no key", "db/1", "/a", 0, "x"),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember::rpc
