#include "controller/protect/schedule.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::ember::testing::HasCode;
using ::ember::testing::HasCodeAndText;

constexpr char kFormat[] = "%Y-%m-%d %H:%M:%S";

absl::TimeZone Zone(absl::string_view name) {
  absl::StatusOr<absl::TimeZone> zone = ZoneOf(name);
  EXPECT_OK(zone);
  return zone.value_or(absl::UTCTimeZone());
}

Calendar MustParse(absl::string_view text) {
  absl::StatusOr<Calendar> calendar = ParseCalendar(text);
  EXPECT_OK(calendar) << text;
  return calendar.value_or(Calendar());
}

absl::Time At(absl::string_view text, absl::TimeZone zone = absl::UTCTimeZone()) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(kFormat, text, zone, &time, &error)) << error;
  return time;
}

std::vector<std::string> Next(const Calendar& calendar, absl::string_view after, int count,
                              absl::TimeZone zone = absl::UTCTimeZone()) {
  std::vector<std::string> times;
  absl::Time time = At(after, zone);
  for (int i = 0; i < count; ++i) {
    time = NextAfter(calendar, time, zone);
    times.push_back(time == absl::InfiniteFuture() ? "never"
                                                   : absl::FormatTime(kFormat, time, zone));
  }
  return times;
}

struct Case {
  std::string expression;
  std::vector<std::string> next;
};

// What `systemd-analyze calendar --base-time="2026-11-19 12:34:56 UTC" --iterations=3` (systemd
// 252) prints.
const Case kSystemd[] = {
    {"Sat..Sun", {"2026-11-21 00:00:00", "2026-11-22 00:00:00", "2026-11-28 00:00:00"}},
    {"Mon,Fri 2:30", {"2026-11-20 02:30:00", "2026-11-23 02:30:00", "2026-11-27 02:30:00"}},
    {"*-02~03", {"2027-02-26 00:00:00", "2028-02-27 00:00:00", "2029-02-26 00:00:00"}},
    {"Mon *-05~07/1", {"2027-05-31 00:00:00", "2028-05-29 00:00:00", "2029-05-28 00:00:00"}},
    {"*:0/15", {"2026-11-19 12:45:00", "2026-11-19 13:00:00", "2026-11-19 13:15:00"}},
    {"10/2:00", {"2026-11-19 14:00:00", "2026-11-19 16:00:00", "2026-11-19 18:00:00"}},
    {"*-*-1 03:00", {"2026-12-01 03:00:00", "2027-01-01 03:00:00", "2027-02-01 03:00:00"}},
    {"mon-fri *-*-* 07:00", {"2026-11-20 07:00:00", "2026-11-23 07:00:00", "2026-11-24 07:00:00"}},
    {"1..5/2:00", {"2026-11-20 01:00:00", "2026-11-20 03:00:00", "2026-11-20 05:00:00"}},
    {"7:00:0", {"2026-11-20 07:00:00", "2026-11-21 07:00:00", "2026-11-22 07:00:00"}},
    {"weekly", {"2026-11-23 00:00:00", "2026-11-30 00:00:00", "2026-12-07 00:00:00"}},
    {"monthly", {"2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00"}},
    {"quarterly", {"2027-01-01 00:00:00", "2027-04-01 00:00:00", "2027-07-01 00:00:00"}},
    {"semiannually", {"2027-01-01 00:00:00", "2027-07-01 00:00:00", "2028-01-01 00:00:00"}},
    {"yearly", {"2027-01-01 00:00:00", "2028-01-01 00:00:00", "2029-01-01 00:00:00"}},
    {"minutely", {"2026-11-19 12:35:00", "2026-11-19 12:36:00", "2026-11-19 12:37:00"}},
    {"hourly", {"2026-11-19 13:00:00", "2026-11-19 14:00:00", "2026-11-19 15:00:00"}},
    {"Daily", {"2026-11-20 00:00:00", "2026-11-21 00:00:00", "2026-11-22 00:00:00"}},
    {"Monday..Wed,Fri", {"2026-11-20 00:00:00", "2026-11-23 00:00:00", "2026-11-24 00:00:00"}},
    {"*-*~1..5", {"2026-11-26 00:00:00", "2026-11-27 00:00:00", "2026-11-28 00:00:00"}},
    {"*-02-29", {"2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"}},
    {"Sun *-02-29", {"2032-02-29 00:00:00", "2060-02-29 00:00:00", "2088-02-29 00:00:00"}},
    {"*-1..3/2-1,15 6,18:30",
     {"2027-01-01 06:30:00", "2027-01-01 18:30:00", "2027-01-15 06:30:00"}},
    {"*:*:0/20", {"2026-11-19 12:35:00", "2026-11-19 12:35:20", "2026-11-19 12:35:40"}},
    {"2027/2-*-01", {"2027-01-01 00:00:00", "2027-02-01 00:00:00", "2027-03-01 00:00:00"}},
    {"Wed *-*-8..14 18:00", {"2026-12-09 18:00:00", "2027-01-13 18:00:00", "2027-02-10 18:00:00"}},
    {"Thu,Fri 2027-*-1,5 11:12:13",
     {"2027-01-01 11:12:13", "2027-02-05 11:12:13", "2027-03-05 11:12:13"}},
    {"*-*-31", {"2026-12-31 00:00:00", "2027-01-31 00:00:00", "2027-03-31 00:00:00"}},
};

TEST(Calendar, AgreesWithSystemd) {
  for (const Case& c : kSystemd) {
    EXPECT_EQ(Next(MustParse(c.expression), "2026-11-19 12:34:56", 3), c.next) << c.expression;
  }
}

TEST(Calendar, SpacesDoNotMatter) {
  EXPECT_EQ(Next(MustParse("  Mon  *-*-*\t07:00 "), "2026-11-19 12:34:56", 1),
            (std::vector<std::string>{"2026-11-23 07:00:00"}));
}

TEST(Calendar, AFixedDateComesOnce) {
  EXPECT_EQ(Next(MustParse("28-11-23 07:00"), "2026-11-19 12:00:00", 2),
            (std::vector<std::string>{"2028-11-23 07:00:00", "never"}));
  EXPECT_EQ(Next(MustParse("2003-03-05"), "2026-11-19 12:00:00", 1),
            (std::vector<std::string>{"never"}));
}

TEST(Calendar, IsStrictlyAfter) {
  const Calendar daily = MustParse("07:00");
  EXPECT_EQ(NextAfter(daily, At("2026-01-01 07:00:00"), absl::UTCTimeZone()),
            At("2026-01-02 07:00:00"));
  EXPECT_EQ(NextAfter(daily, At("2026-01-01 07:00:00") - absl::Nanoseconds(1), absl::UTCTimeZone()),
            At("2026-01-01 07:00:00"));
}

TEST(Calendar, TakesTheEndsOfTime) {
  const Calendar daily = MustParse("daily");
  EXPECT_EQ(NextAfter(daily, absl::InfiniteFuture(), absl::UTCTimeZone()), absl::InfiniteFuture());
  EXPECT_EQ(NextAfter(daily, absl::InfinitePast(), absl::UTCTimeZone()), absl::UnixEpoch());
  EXPECT_EQ(LatestDue(daily, absl::InfinitePast(), absl::InfiniteFuture(), absl::UTCTimeZone()),
            std::nullopt);
  EXPECT_EQ(LatestDue(daily, absl::InfinitePast(), absl::UnixEpoch() - absl::Seconds(1),
                      absl::UTCTimeZone()),
            std::nullopt);
}

TEST(Calendar, RejectsWhatIsNotOne) {
  for (const char* text : {"",
                           "   ",
                           "05",
                           "*-*-* 5",
                           "24:00",
                           "07:60",
                           "07:00:60",
                           "*-13-01",
                           "*-00-01",
                           "*-02-30",
                           "*-04-31",
                           "Fri..Mon",
                           "Mon,,Tue",
                           "Tu",
                           "7 07:00",
                           "0/0:00",
                           "*/0:00",
                           "5..1:00",
                           "*-*-*T07:00",
                           "Sun, Mon",
                           "07:00 07:00",
                           "07:00 Mon",
                           "*-*-*~2",
                           "1969-01-01",
                           "2200-01-01",
                           "*:*:0.5",
                           "@1395716396",
                           "-1:00",
                           "7:-5",
                           "1/2/3:00",
                           "99999999999:00",
                           "*-*-1/99999999999",
                           "*~*~1",
                           "daily daily",
                           "fortnightly",
                           "\xff\xfe",
                           "1.5:00",
                           "..:00"}) {
    EXPECT_THAT(ParseCalendar(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(ParseCalendar(std::string(10000, '*')), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(Calendar, SaysWhatIsWrong) {
  EXPECT_THAT(ParseCalendar("25:00"), HasCodeAndText(absl::StatusCode::kInvalidArgument,
                                                     "hour '25' is not valid (0 to 23)"));
  EXPECT_THAT(ParseCalendar("07:00 Europe/Paris"),
              HasCodeAndText(absl::StatusCode::kInvalidArgument, "timezone"));
  EXPECT_THAT(ParseCalendar("*-02-30"),
              HasCodeAndText(absl::StatusCode::kInvalidArgument, "never comes true"));
}

TEST(Cron, ReadsTheUsualLines) {
  const Case cases[] = {
      {"0 7 * * *", {"2026-11-20 07:00:00", "2026-11-21 07:00:00", "2026-11-22 07:00:00"}},
      {"*/20 * * * *", {"2026-11-19 12:40:00", "2026-11-19 13:00:00", "2026-11-19 13:20:00"}},
      {"30 2 * * 1-5", {"2026-11-20 02:30:00", "2026-11-23 02:30:00", "2026-11-24 02:30:00"}},
      {"0 23 * * sun", {"2026-11-22 23:00:00", "2026-11-29 23:00:00", "2026-12-06 23:00:00"}},
      {"0 23 * * 0", {"2026-11-22 23:00:00", "2026-11-29 23:00:00", "2026-12-06 23:00:00"}},
      {"0 23 * * 7", {"2026-11-22 23:00:00", "2026-11-29 23:00:00", "2026-12-06 23:00:00"}},
      {"0 0 * * Sat-Sun", {"2026-11-21 00:00:00", "2026-11-22 00:00:00", "2026-11-28 00:00:00"}},
      {"0 0 1,15 Jan-Mar/2 *",
       {"2027-01-01 00:00:00", "2027-01-15 00:00:00", "2027-03-01 00:00:00"}},
      {"15 10-12/2 * * *", {"2026-11-20 10:15:00", "2026-11-20 12:15:00", "2026-11-21 10:15:00"}},
      // Both a day and a weekday: either.
      {"0 0 1 * 5", {"2026-11-20 00:00:00", "2026-11-27 00:00:00", "2026-12-01 00:00:00"}},
      // A field that begins with a star does not open the choice.
      {"0 0 */10 * 5", {"2026-12-11 00:00:00", "2027-01-01 00:00:00", "2027-05-21 00:00:00"}},
      {"@daily", {"2026-11-20 00:00:00", "2026-11-21 00:00:00", "2026-11-22 00:00:00"}},
      {"@weekly", {"2026-11-22 00:00:00", "2026-11-29 00:00:00", "2026-12-06 00:00:00"}},
      {"@Monthly", {"2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00"}},
  };
  for (const Case& c : cases) {
    ASSERT_OK_AND_ASSIGN(const Calendar calendar, ParseCron(c.expression));
    EXPECT_EQ(Next(calendar, "2026-11-19 12:34:56", 3), c.next) << c.expression;
  }
}

TEST(Cron, RejectsWhatIsNotOne) {
  for (const char* text :
       {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
        "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *", "1, * * * *",
        "@reboot", "0 0 31 2 *", "-1 * * * *", "1- * * * *"}) {
    EXPECT_THAT(ParseCron(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(Zone, UnknownOnesAreRejected) {
  EXPECT_OK(ZoneOf(""));
  EXPECT_OK(ZoneOf("UTC"));
  EXPECT_OK(ZoneOf("America/Argentina/Buenos_Aires"));
  for (const char* name : {"Europe/Pariss", "../../../etc/passwd", "/etc/localtime", "localtime",
                           "file:/etc/localtime", "Mars"}) {
    EXPECT_THAT(ZoneOf(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST(DaylightSaving, ASkippedTimeIsDueRightAfterTheGap) {
  const absl::TimeZone paris = Zone("Europe/Paris");  // 2026-03-29: 02:00 becomes 03:00
  EXPECT_EQ(Next(MustParse("02:30"), "2026-03-28 12:00:00", 3, paris),
            (std::vector<std::string>{"2026-03-29 03:00:00", "2026-03-30 02:30:00",
                                      "2026-03-31 02:30:00"}));
}

TEST(DaylightSaving, TwoSkippedTimesAreDueTogether) {
  EXPECT_EQ(Next(MustParse("02:15,45"), "2026-03-29 01:00:00", 2, Zone("Europe/Paris")),
            (std::vector<std::string>{"2026-03-29 03:00:00", "2026-03-30 02:15:00"}));
}

TEST(DaylightSaving, ARepeatedTimeIsDueTheFirstTimeOnly) {
  const absl::TimeZone paris = Zone("Europe/Paris");  // 2026-10-25: 03:00 becomes 02:00
  const Calendar calendar = MustParse("02:30");
  const absl::Time first = At("2026-10-25 00:30:00");  // 02:30 summer time
  EXPECT_EQ(NextAfter(calendar, At("2026-10-24 12:00:00"), paris), first);
  EXPECT_EQ(NextAfter(calendar, first, paris), At("2026-10-26 01:30:00"));
  EXPECT_EQ(NextAfter(calendar, first + absl::Minutes(45), paris), At("2026-10-26 01:30:00"));
}

TEST(DaylightSaving, NothingIsDueWhileTimeIsRepeated) {
  const absl::TimeZone paris = Zone("Europe/Paris");
  const Calendar calendar = MustParse("*:0/15");
  EXPECT_EQ(NextAfter(calendar, At("2026-10-25 00:45:00"), paris), At("2026-10-25 02:00:00"));
  EXPECT_EQ(NextAfter(calendar, At("2026-10-25 01:20:00"), paris), At("2026-10-25 02:00:00"));
  EXPECT_EQ(LatestDue(calendar, At("2026-10-25 00:00:00"), At("2026-10-25 01:20:00"), paris),
            At("2026-10-25 00:45:00"));
  EXPECT_EQ(LatestDue(calendar, At("2026-10-25 00:45:00"), At("2026-10-25 01:59:59"), paris),
            std::nullopt);
}

TEST(LatestDue, HoweverManyWereMissedTheNewestIsDue) {
  const Calendar daily = MustParse("07:00");
  const absl::TimeZone utc = absl::UTCTimeZone();
  EXPECT_EQ(LatestDue(daily, At("2026-01-01 07:00:00"), At("2026-03-01 06:59:59"), utc),
            At("2026-02-28 07:00:00"));
  EXPECT_EQ(LatestDue(daily, At("2026-02-28 07:00:00"), At("2026-03-01 06:59:59"), utc),
            std::nullopt);
  EXPECT_EQ(LatestDue(daily, At("2026-02-28 07:00:00"), At("2026-03-01 07:00:00"), utc),
            At("2026-03-01 07:00:00"));
  EXPECT_EQ(LatestDue(daily, At("2026-03-02 07:00:00"), At("2026-03-01 07:00:00"), utc),
            std::nullopt);
}

const char* const kZones[] = {
    "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
    "UTC",          "Asia/Kathmandu",   "America/Havana",      "Asia/Beirut"};

TEST(DaylightSaving, ADailyJobRunsExactlyOncePerCivilDay) {
  for (const char* name : kZones) {
    const absl::TimeZone zone = Zone(name);
    for (const char* at :
         {"00:00", "00:30", "01:45", "02:00", "02:30", "02:59:59", "03:00", "12:00", "23:59:59"}) {
      const Calendar calendar = MustParse(at);
      absl::CivilDay day(2020, 1, 1);
      absl::Time time = absl::FromCivil(absl::CivilSecond(day), zone) - absl::Seconds(1);
      for (; day < absl::CivilDay(2031, 1, 1); ++day) {
        time = NextAfter(calendar, time, zone);
        ASSERT_EQ(absl::ToCivilDay(time, zone), day) << name << " " << at;
      }
    }
  }
}

// Both searches against each other, over every instant near the changes of each zone.
TEST(LatestDue, AgreesWithNextAfter) {
  const char* const expressions[] = {"02:30",     "*:0/15", "hourly", "00:00", "*-*-29..31 02:15",
                                     "Sun 03:00", "23:30"};
  for (const char* name : kZones) {
    const absl::TimeZone zone = Zone(name);
    for (const char* expression : expressions) {
      const Calendar calendar = MustParse(expression);
      absl::TimeZone::CivilTransition change;
      absl::Time from = At("2026-01-01 00:00:00");
      for (int changes = 0; changes < 4 && zone.NextTransition(from, &change); ++changes) {
        from = absl::FromCivil(change.to, zone);
        const absl::Time start = from - absl::Hours(26);
        absl::Time newest = absl::InfinitePast();
        for (absl::Time now = start; now < from + absl::Hours(26); now += absl::Minutes(5)) {
          for (absl::Time t = NextAfter(calendar, std::max(newest, start), zone); t <= now;
               t = NextAfter(calendar, t, zone)) {
            newest = t;
          }
          const std::optional<absl::Time> due = LatestDue(calendar, start, now, zone);
          ASSERT_EQ(due.value_or(absl::InfinitePast()), newest)
              << name << " " << expression << " " << now;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ember::controller
