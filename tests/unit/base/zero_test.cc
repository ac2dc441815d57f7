#include "common/base/zero.h"

#include <string>

#include "gtest/gtest.h"

namespace ember {
namespace {

TEST(IsAllZero, ZeroesOfAnyLengthAre) {
  for (size_t size = 0; size < 300; ++size) EXPECT_TRUE(IsAllZero(std::string(size, '\0'))) << size;
  EXPECT_TRUE(IsAllZero(std::string(1 << 20, '\0')));
  EXPECT_TRUE(IsAllZero(absl::string_view()));
}

TEST(IsAllZero, OneBitAnywhereIsSeen) {
  for (size_t size = 1; size < 300; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string data(size, '\0');
      data[at] = '\x80';
      ASSERT_FALSE(IsAllZero(data)) << at << " of " << size;
    }
  }
}

TEST(IsAllZero, BytesAroundTheDataDoNotCount) {
  std::string data(500, '\0');
  data.front() = data.back() = 'x';
  EXPECT_TRUE(IsAllZero(absl::string_view(data).substr(1, 498)));
}

}  // namespace
}  // namespace ember
