// When a job is due: systemd calendar expressions and cron lines, as values. Pure; no clock.
#ifndef EMBER_CONTROLLER_PROTECT_SCHEDULE_H_
#define EMBER_CONTROLLER_PROTECT_SCHEDULE_H_

#include <bitset>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/limits.h"

namespace ember::controller {

// A set of civil seconds: those whose fields are all in the sets. Bit n stands for value n.
struct Calendar {
  std::bitset<kCalendarYearMax + 1> years;
  std::bitset<13> months;
  std::bitset<32> days;           // of the month, counted from its start
  std::bitset<32> days_from_end;  // 1 is the last day; systemd's `~`. A day in either set is in
  std::bitset<7> weekdays;        // 0 is Monday
  std::bitset<24> hours;
  std::bitset<60> minutes;
  std::bitset<60> seconds;
  // cron: with both a day and a weekday given, a day that satisfies one of them is in.
  bool day_or_weekday = false;
};

// A systemd calendar expression (systemd.time(7)): `Mon..Fri 02:30`, `*-*-1,15 03:00`, `*-02~03`,
// `*:0/15`, `weekly`. Names of days in English, any case. Not taken: fractions of seconds, and a
// zone in the expression (the zone belongs to the policy). INVALID_ARGUMENT says which part is
// wrong; an expression that never comes true ("*-02-30") is wrong.
absl::StatusOr<Calendar> ParseCalendar(absl::string_view text);

// A crontab(5) time: minute, hour, day of month, month, day of week; lists, ranges, steps, English
// names of months and days, 0 and 7 both Sunday; or `@hourly`, `@daily`, `@weekly`, `@monthly`,
// `@yearly`. INVALID_ARGUMENT as above.
absl::StatusOr<Calendar> ParseCron(absl::string_view text);

// The zone of an IANA name; empty is UTC. INVALID_ARGUMENT when this machine does not know it.
absl::StatusOr<absl::TimeZone> ZoneOf(absl::string_view name);

// The first instant later than `after` at which `calendar` is due in `zone`; InfiniteFuture when
// there is none up to the year kCalendarYearMax. A civil time that the zone skips is due at the
// first instant after the gap; one that it has twice is due the first time only.
absl::Time NextAfter(const Calendar& calendar, absl::Time after, absl::TimeZone zone);

// The newest due instant in (after, now], by the same rules: however many runs were missed, one is
// caught up.
std::optional<absl::Time> LatestDue(const Calendar& calendar, absl::Time after, absl::Time now,
                                    absl::TimeZone zone);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_SCHEDULE_H_
