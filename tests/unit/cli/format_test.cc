#include "cli/format.h"

#include "common/rpc/convert.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace ember::cli {
namespace {

using testing::HasCode;

class Format : public ::testing::Test {
 protected:
  Format() {
    context_.clock = &clock_;
    context_.zone = absl::FixedTimeZone(3600);
  }
  google::protobuf::Timestamp Before(absl::Duration age) {
    return rpc::ToTimestamp(clock_.Now() - age);
  }

  testing::FakeClock clock_;  // 2026-01-01T00:00:00Z
  Context context_;
};

TEST_F(Format, BytesReadInBinaryUnits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(int64_t{12} << 30), "12 GiB");
  EXPECT_EQ(FormatBytes(INT64_MAX), "8.0 EiB");
  EXPECT_EQ(FormatBytes(-1), "?");
}

TEST_F(Format, DurationsReadInTheUnitThatMatters) {
  EXPECT_EQ(FormatRough(absl::Seconds(-3)), "0 s");
  EXPECT_EQ(FormatRough(absl::Seconds(119)), "119 s");
  EXPECT_EQ(FormatRough(absl::Minutes(3)), "3 min");
  EXPECT_EQ(FormatRough(absl::Hours(24)), "24 h");
  EXPECT_EQ(FormatRough(absl::Hours(72)), "3 d");
  EXPECT_EQ(FormatExact(absl::Milliseconds(420)), "0.4 s");
  EXPECT_EQ(FormatExact(absl::Seconds(125)), "2 min 5 s");
  EXPECT_EQ(FormatExact(absl::Minutes(190)), "3 h 10 min");
}

TEST_F(Format, TimesAreLocalWithTheirAge) {
  EXPECT_EQ(FormatTime(context_, Before(absl::Minutes(3))), "2026-01-01 00:57:00 (3 min ago)");
  EXPECT_EQ(FormatTime(context_, Before(-absl::Hours(4))), "2026-01-01 05:00:00 (in 4 h)");
  EXPECT_EQ(FormatTime(context_, google::protobuf::Timestamp()), "never");
}

TEST_F(Format, AClockThatIsSlightlyAheadIsNotTheFuture) {
  EXPECT_EQ(FormatAge(context_, Before(-absl::Seconds(2))), "0 s ago");
}

TEST_F(Format, DurationsAreParsedAndNonsenseIsRefused) {
  ASSERT_OK_AND_ASSIGN(const absl::Duration hours, ParseDuration("1h30m"));
  EXPECT_EQ(hours, absl::Minutes(90));
  ASSERT_OK_AND_ASSIGN(const absl::Duration days, ParseDuration("7d"));
  EXPECT_EQ(days, absl::Hours(168));
  for (const char* bad : {"", "2", "h", "-2h", "0s", "inf", "2 weeks", "99999999d", "-1d"}) {
    EXPECT_THAT(ParseDuration(bad), HasCode(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST_F(Format, SinceIsATimeOrADurationBeforeNow) {
  ASSERT_OK_AND_ASSIGN(const absl::Time ago, ParseSince(context_, "2h"));
  EXPECT_EQ(ago, clock_.Now() - absl::Hours(2));
  ASSERT_OK_AND_ASSIGN(const absl::Time instant, ParseSince(context_, "2025-12-31T12:00:00+02:00"));
  EXPECT_EQ(instant, clock_.Now() - absl::Hours(14));
  ASSERT_OK_AND_ASSIGN(const absl::Time date, ParseSince(context_, "2025-12-31"));
  EXPECT_EQ(date,
            clock_.Now() - absl::Hours(25));  // midnight in the reader's zone, an hour ahead of UTC
  for (const char* bad : {"", "yesterday", "2025-13-01", "infinite-past", "infinite-future"}) {
    EXPECT_THAT(ParseSince(context_, bad), HasCode(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace ember::cli
