#include "controller/estate/units.h"

#include <cstdint>
#include <string>

#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::ember::testing::HasCode;

TEST(Duration, IsReadInEveryUnit) {
  const std::pair<const char*, int64_t> cases[] = {
      {"500ms", 500},     {"20s", 20000},      {"5m", 300000},
      {"2h", 7200000},    {"7d", 604800000},   {"2w", 1209600000},
      {"1h30m", 5400000}, {"1d1ms", 86400001}, {"0s", 0}};
  for (const auto& [text, millis] : cases) {
    ASSERT_OK_AND_ASSIGN(const int64_t parsed, ParseMillis(text));
    EXPECT_EQ(parsed, millis) << text;
  }
}

TEST(Duration, RejectsWhatIsNotOne) {
  for (const char* text :
       {"", "20", "s", "-5s", "5 s", "1.5h", "20S", "5min", "5sec", "s5", "99999999999999999999s",
        "9999999999999d", "101y", "36601d", "5s ", "0x5s", "\xff"}) {
    EXPECT_THAT(ParseMillis(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(Duration, FormattedIsReadBack) {
  for (int64_t millis :
       {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{1000}, int64_t{90000}, int64_t{3600000},
        int64_t{86400000}, int64_t{93600000}, int64_t{604800000}, int64_t{86400001}}) {
    ASSERT_OK_AND_ASSIGN(const int64_t parsed, ParseMillis(FormatMillis(millis)));
    EXPECT_EQ(parsed, millis);
  }
  EXPECT_EQ(FormatSeconds(90), "90s");
  EXPECT_EQ(FormatSeconds(7200), "2h");
  EXPECT_EQ(FormatSeconds(93600), "26h");
}

TEST(Size, ReadsWhatPeopleWriteAndFormatsItBack) {
  const std::pair<const char*, int64_t> cases[] = {{"64KiB", 64 << 10},
                                                   {"10MiB", 10 << 20},
                                                   {"2GiB", int64_t{2} << 30},
                                                   {"1536KiB", 1536 << 10}};
  for (const auto& [text, bytes] : cases) {
    ASSERT_OK_AND_ASSIGN(const int64_t parsed, ParseSize(text));
    EXPECT_EQ(parsed, bytes);
    EXPECT_EQ(FormatSize(bytes), text);
  }
  for (const char* text :
       {"", "1", "MiB", "-1MiB", "1.5MiB", "1 MiB", "1mib", "1MB", "9999999999KiB"})
    EXPECT_THAT(ParseSize(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
}

}  // namespace
}  // namespace ember::controller
