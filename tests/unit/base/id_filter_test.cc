#include "common/base/id_filter.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember {
namespace {

std::string MakeId(std::mt19937_64& random) {
  std::string id;
  for (int i = 0; i < 2; ++i) {
    const uint64_t word = random();
    id.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return id;
}

TEST(IdFilter, WhatWasAddedIsPerhapsThereAndLittleElseIs) {
  for (const size_t count :
       {size_t{0}, size_t{1}, size_t{1000}, size_t{100'000}, kIdFilterIdsMax}) {
    std::mt19937_64 random(count);
    IdFilter filter;
    for (size_t i = 0; i < count; ++i) filter.Add(MakeId(random));
    const std::string bytes = filter.Serialize();
    EXPECT_LE(bytes.size(), std::max<size_t>(64, count * kIdFilterBitsMin * 2 / 8));
    ASSERT_OK_AND_ASSIGN(const IdFilter parsed, IdFilter::Parse(bytes));
    std::mt19937_64 again(count);
    for (size_t i = 0; i < count; ++i) ASSERT_TRUE(parsed.MayContain(MakeId(again)));
    int perhaps = 0;
    for (int i = 0; i < 10'000; ++i) perhaps += parsed.MayContain(MakeId(again)) ? 1 : 0;
    EXPECT_LT(perhaps, 350) << count;
  }
}

TEST(IdFilter, BytesOfAnotherSizeAreRefused) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{32}, size_t{96}, 2 * kIdFilterBytesMax})
    EXPECT_FALSE(IdFilter::Parse(std::string(size, '\0')).ok()) << size;
  EXPECT_OK(IdFilter::Parse(std::string(64, '\0')));
  EXPECT_OK(IdFilter::Parse(std::string(kIdFilterBytesMax, '\0')));
}

}  // namespace
}  // namespace ember
