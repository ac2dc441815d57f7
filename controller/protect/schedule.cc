#include "controller/protect/schedule.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace ember::controller {
namespace {

constexpr int kSecondsPerDay = 86400;

// --- fields
// ---------------------------------------------------------------------------------------------------------

// How the values of one field are written.
struct FieldSyntax {
  absl::string_view what;  // "hour": for messages
  int first;
  int last;
  absl::string_view range;  // between the ends of a range: ".." or "-"
  std::vector<std::string>
      names;  // names[i] is value first_name + i; a longer English name begins with it
  int first_name = 0;
};

const std::vector<std::string>& DayNames() {
  static const auto* names = new std::vector<std::string>{
      "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
  return *names;
}

const std::vector<std::string>& MonthNames() {
  static const auto* names = new std::vector<std::string>{
      "january", "february", "march",     "april",   "may",      "june",
      "july",    "august",   "september", "october", "november", "december"};
  return *names;
}

absl::Status Wrong(const FieldSyntax& syntax, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(syntax.what, " '", text, "' is not valid (",
                                                 syntax.first, " to ", syntax.last, ")"));
}

absl::StatusOr<int> ParseValue(absl::string_view text, const FieldSyntax& syntax) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (size_t i = 0; i < syntax.names.size(); ++i) {
    if (lower == syntax.names[i] || lower == syntax.names[i].substr(0, 3)) {
      return syntax.first_name + static_cast<int>(i);
    }
  }
  int value = 0;
  const bool digits = !text.empty() && text.size() <= 4 &&
                      std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(text, &value)) return Wrong(syntax, text);
  if (syntax.what == "year" && text.size() <= 2) value += value < 70 ? 2000 : 1900;
  if (value < syntax.first || value > syntax.last) return Wrong(syntax, text);
  return value;
}

// One element of a list: `*`, a value, a range, each with an optional `/step`. A value with a step
// goes on to the end.
template <size_t N>
absl::Status ParseElement(absl::string_view element, const FieldSyntax& syntax,
                          std::bitset<N>* set) {
  const std::vector<absl::string_view> parts = absl::StrSplit(element, absl::MaxSplits('/', 1));
  int step = 1;
  if (parts.size() == 2) {
    const bool digits = !parts[1].empty() && parts[1].size() <= 4 &&
                        std::all_of(parts[1].begin(), parts[1].end(), absl::ascii_isdigit);
    if (!digits || !absl::SimpleAtoi(parts[1], &step) || step < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("the step of ", syntax.what, " '", element, "' is not a number above 0"));
    }
  }
  int first = syntax.first;
  int last = syntax.last;
  if (parts[0] != "*") {
    const std::vector<absl::string_view> ends =
        absl::StrSplit(parts[0], absl::MaxSplits(syntax.range, 1));
    EMBER_ASSIGN_OR_RETURN(first, ParseValue(ends[0], syntax));
    if (ends.size() == 2) {
      EMBER_ASSIGN_OR_RETURN(last, ParseValue(ends[1], syntax));
      // In crontab Sunday is 0 as well as 7: as the end of a range it is the latter.
      if (last == 0 && syntax.first_name == 0 && syntax.last == 7) last = 7;
      if (last < first) {
        return absl::InvalidArgumentError(
            absl::StrCat(syntax.what, " range '", element, "' ends before it begins"));
      }
    } else if (parts.size() == 1) {
      last = first;
    }
  }
  for (int value = first; value <= last; value += step) set->set(value);
  return absl::OkStatus();
}

template <size_t N>
absl::Status ParseField(absl::string_view text, const FieldSyntax& syntax, std::bitset<N>* set) {
  if (text.empty()) return absl::InvalidArgumentError(absl::StrCat(syntax.what, " is missing"));
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    EMBER_RETURN_IF_ERROR(ParseElement(element, syntax, set));
  }
  return absl::OkStatus();
}

// --- systemd calendar expressions
// -----------------------------------------------------------------------------------

absl::string_view ExpandShorthand(absl::string_view text) {
  static const auto* shorthands =
      new absl::flat_hash_map<std::string, std::string>{{"minutely", "*-*-* *:*:00"},
                                                        {"hourly", "*-*-* *:00:00"},
                                                        {"daily", "*-*-* 00:00:00"},
                                                        {"weekly", "Mon *-*-* 00:00:00"},
                                                        {"monthly", "*-*-01 00:00:00"},
                                                        {"quarterly", "*-01,04,07,10-01 00:00:00"},
                                                        {"semiannually", "*-01,07-01 00:00:00"},
                                                        {"semi-annually", "*-01,07-01 00:00:00"},
                                                        {"biannually", "*-01,07-01 00:00:00"},
                                                        {"bi-annually", "*-01,07-01 00:00:00"},
                                                        {"yearly", "*-01-01 00:00:00"},
                                                        {"annually", "*-01-01 00:00:00"},
                                                        {"anually", "*-01-01 00:00:00"}};
  const auto it = shorthands->find(absl::AsciiStrToLower(text));
  return it == shorthands->end() ? text : absl::string_view(it->second);
}

absl::Status ParseWeekdays(absl::string_view text, Calendar* calendar) {
  const FieldSyntax syntax{"day of the week", 0, 6, "..", DayNames(), 0};
  // Numbers of days are crontab's; here a day has a name.
  if (std::any_of(text.begin(), text.end(), absl::ascii_isdigit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("day of the week '", text, "' is not a name such as Mon"));
  }
  return ParseField(absl::StrReplaceAll(text, {{"-", ".."}}), syntax, &calendar->weekdays);
}

// The days of `*-02~03` and `*-05~07/1`: 1 is the last day; a step walks towards the end of the
// month.
absl::Status ParseDaysFromEnd(absl::string_view text, Calendar* calendar) {
  const FieldSyntax syntax{"day from the end of the month", 1, 31, "..", {}};
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    const std::vector<std::string> parts = absl::StrSplit(element, '/');
    int step = 0;
    if (parts.size() == 2 && !absl::StrContains(parts[0], "..") && parts[0] != "*" &&
        absl::SimpleAtoi(parts[1], &step) && step > 0) {
      EMBER_ASSIGN_OR_RETURN(const int first, ParseValue(parts[0], syntax));
      for (int day = first; day >= 1; day -= step) calendar->days_from_end.set(day);
    } else {
      EMBER_RETURN_IF_ERROR(ParseElement(element, syntax, &calendar->days_from_end));
    }
  }
  return absl::OkStatus();
}

absl::Status ParseDate(absl::string_view text, Calendar* calendar) {
  const std::vector<absl::string_view> from_end = absl::StrSplit(text, '~');
  std::vector<absl::string_view> parts = absl::StrSplit(from_end[0], '-');
  const bool counted_from_end = from_end.size() == 2;
  if (counted_from_end) parts.push_back(from_end[1]);
  if (from_end.size() > 2 || parts.size() < 2 || parts.size() > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("date '", text, "' is not YEAR-MONTH-DAY or MONTH-DAY"));
  }
  const FieldSyntax year{"year", kCalendarYearMin, kCalendarYearMax, "..", {}};
  EMBER_RETURN_IF_ERROR(ParseField(parts.size() == 3 ? parts[0] : "*", year, &calendar->years));
  EMBER_RETURN_IF_ERROR(
      ParseField(parts[parts.size() - 2], {"month", 1, 12, "..", {}}, &calendar->months));
  if (counted_from_end) return ParseDaysFromEnd(parts.back(), calendar);
  return ParseField(parts.back(), {"day", 1, 31, "..", {}}, &calendar->days);
}

absl::Status ParseTime(absl::string_view text, Calendar* calendar) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() < 2 || parts.size() > 3) {
    return absl::InvalidArgumentError(absl::StrCat("time '", text, "' is not HH:MM or HH:MM:SS"));
  }
  EMBER_RETURN_IF_ERROR(ParseField(parts[0], {"hour", 0, 23, "..", {}}, &calendar->hours));
  EMBER_RETURN_IF_ERROR(ParseField(parts[1], {"minute", 0, 59, "..", {}}, &calendar->minutes));
  return ParseField(parts.size() == 3 ? parts[2] : "00", {"second", 0, 59, "..", {}},
                    &calendar->seconds);
}

// --- walking civil time
// ---------------------------------------------------------------------------------------------

bool HasDay(const Calendar& c, absl::CivilDay day) {
  const int from_end = static_cast<int>(absl::CivilDay(absl::CivilMonth(day) + 1) - day);
  const bool by_date = c.days[day.day()] || c.days_from_end[from_end];
  const bool by_weekday = c.weekdays[static_cast<int>(absl::GetWeekday(day))];
  return c.day_or_weekday ? by_date || by_weekday : by_date && by_weekday;
}

// The first second of a day, `from` or later, that is in the sets; -1 when there is none.
int FirstSecond(const Calendar& c, int from) {
  for (int second = from; second < kSecondsPerDay;) {
    if (!c.hours[second / 3600]) {
      second = (second / 3600 + 1) * 3600;
    } else if (!c.minutes[second / 60 % 60]) {
      second = (second / 60 + 1) * 60;
    } else if (!c.seconds[second % 60]) {
      ++second;
    } else {
      return second;
    }
  }
  return -1;
}

// The last one, `from` or earlier.
int LastSecond(const Calendar& c, int from) {
  for (int second = from; second >= 0;) {
    if (!c.hours[second / 3600]) {
      second = second / 3600 * 3600 - 1;
    } else if (!c.minutes[second / 60 % 60]) {
      second = second / 60 * 60 - 1;
    } else if (!c.seconds[second % 60]) {
      --second;
    } else {
      return second;
    }
  }
  return -1;
}

int SecondOfDay(absl::CivilSecond civil) {
  return civil.hour() * 3600 + civil.minute() * 60 + civil.second();
}

std::optional<absl::CivilSecond> FirstCivil(const Calendar& c, absl::CivilSecond from) {
  from = std::max(from, absl::CivilSecond(kCalendarYearMin));
  absl::CivilDay day(from);
  while (day.year() <= kCalendarYearMax) {
    if (!c.years[day.year()]) {
      day = absl::CivilDay(absl::CivilYear(day) + 1);
    } else if (!c.months[day.month()]) {
      day = absl::CivilDay(absl::CivilMonth(day) + 1);
    } else {
      const int second =
          HasDay(c, day) ? FirstSecond(c, day == absl::CivilDay(from) ? SecondOfDay(from) : 0) : -1;
      if (second >= 0) return absl::CivilSecond(day) + second;
      ++day;
    }
  }
  return std::nullopt;
}

std::optional<absl::CivilSecond> LastCivil(const Calendar& c, absl::CivilSecond from) {
  from = std::min(from, absl::CivilSecond(kCalendarYearMax + 1) - 1);
  absl::CivilDay day(from);
  while (day.year() >= kCalendarYearMin) {
    if (!c.years[day.year()]) {
      day = absl::CivilDay(absl::CivilYear(day)) - 1;
    } else if (!c.months[day.month()]) {
      day = absl::CivilDay(absl::CivilMonth(day)) - 1;
    } else {
      const int latest = day == absl::CivilDay(from) ? SecondOfDay(from) : kSecondsPerDay - 1;
      const int second = HasDay(c, day) ? LastSecond(c, latest) : -1;
      if (second >= 0) return absl::CivilSecond(day) + second;
      --day;
    }
  }
  return std::nullopt;
}

// The civil second at which the time that `info` tells twice has passed the second time.
absl::CivilSecond EndOfRepeated(const absl::TimeZone::TimeInfo& info, absl::TimeZone zone) {
  return zone.At(info.trans - absl::Seconds(1)).cs + 1;
}

// When a civil second is due. Never decreases as `civil` increases, which both searches below rely
// on.
absl::Time DueInstant(const absl::TimeZone::TimeInfo& info) {
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

absl::StatusOr<Calendar> Checked(Calendar calendar, absl::string_view text) {
  if (!FirstCivil(calendar, absl::CivilSecond(kCalendarYearMin)).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' never comes true: no such date"));
  }
  return calendar;
}

absl::Status CheckLength(absl::string_view text) {
  if (text.size() <= kScheduleBytesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a schedule is at most ", kScheduleBytesMax, " bytes long"));
}

}  // namespace

absl::StatusOr<Calendar> ParseCalendar(absl::string_view text) {
  EMBER_RETURN_IF_ERROR(CheckLength(text));
  const absl::string_view expanded = ExpandShorthand(absl::StripAsciiWhitespace(text));
  const std::vector<absl::string_view> words =
      absl::StrSplit(expanded, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) return absl::InvalidArgumentError("the calendar expression is empty");
  Calendar calendar;
  size_t next = 0;
  if (absl::ascii_isalpha(words[0][0])) {
    EMBER_RETURN_IF_ERROR(ParseWeekdays(words[next++], &calendar));
  } else {
    calendar.weekdays.set();
  }
  const auto is_time = [](absl::string_view word) { return absl::StrContains(word, ':'); };
  const bool has_date = next < words.size() && !is_time(words[next]) &&
                        words[next].find_first_of("-~") != absl::string_view::npos;
  EMBER_RETURN_IF_ERROR(ParseDate(has_date ? words[next++] : "*-*-*", &calendar));
  const bool has_time = next < words.size() && is_time(words[next]);
  EMBER_RETURN_IF_ERROR(ParseTime(has_time ? words[next++] : "00:00:00", &calendar));
  if (next < words.size()) {
    const bool zone_like = next > 0 && absl::ascii_isalpha(words[next][0]);
    return absl::InvalidArgumentError(absl::StrCat(
        "'", words[next],
        zone_like ? "' does not belong here: the zone goes into `timezone`"
                  : "' is not understood: expected [DAY] [YEAR-MONTH-DAY] [HH:MM[:SS]]"));
  }
  return Checked(calendar, text);
}

absl::StatusOr<Calendar> ParseCron(absl::string_view text) {
  EMBER_RETURN_IF_ERROR(CheckLength(text));
  const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text));
  for (absl::string_view name : {"@hourly", "@daily", "@weekly", "@monthly", "@yearly"}) {
    // cron's weeks begin on Sunday, systemd's on Monday.
    if (lower == name) return ParseCalendar(name == "@weekly" ? "Sun" : name.substr(1));
  }
  const std::vector<absl::string_view> words =
      absl::StrSplit(lower, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != 5) {
    return absl::InvalidArgumentError(
        absl::StrCat("cron '", text, "' has ", words.size(),
                     " fields, not 5: minute, hour, day of month, month, day of week"));
  }
  Calendar calendar;
  EMBER_RETURN_IF_ERROR(
      ParseField("*", {"year", kCalendarYearMin, kCalendarYearMax, "-", {}}, &calendar.years));
  calendar.seconds.set(0);
  EMBER_RETURN_IF_ERROR(ParseField(words[0], {"minute", 0, 59, "-", {}}, &calendar.minutes));
  EMBER_RETURN_IF_ERROR(ParseField(words[1], {"hour", 0, 23, "-", {}}, &calendar.hours));
  EMBER_RETURN_IF_ERROR(ParseField(words[2], {"day of the month", 1, 31, "-", {}}, &calendar.days));
  EMBER_RETURN_IF_ERROR(
      ParseField(words[3], {"month", 1, 12, "-", MonthNames(), 1}, &calendar.months));
  std::bitset<8> from_sunday;
  std::vector<std::string> sunday_first = DayNames();
  std::rotate(sunday_first.rbegin(), sunday_first.rbegin() + 1, sunday_first.rend());
  EMBER_RETURN_IF_ERROR(
      ParseField(words[4], {"day of the week", 0, 7, "-", sunday_first, 0}, &from_sunday));
  for (int day = 0; day <= 7; ++day) {
    if (from_sunday[day]) calendar.weekdays.set((day + 6) % 7);
  }
  // As cron has it: a field that begins with a star restricts, but does not open the choice.
  calendar.day_or_weekday = words[2][0] != '*' && words[4][0] != '*';
  return Checked(calendar, text);
}

absl::StatusOr<absl::TimeZone> ZoneOf(absl::string_view name) {
  if (name.empty()) return absl::UTCTimeZone();
  // A name is also a path below the zone directory: it must stay there. "localtime" differs between
  // machines.
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '/' || c == '_' || c == '-' || c == '+';
  });
  absl::TimeZone zone;
  if (!plain || name[0] == '/' || name == "localtime" || !absl::LoadTimeZone(name, &zone)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "time zone '", name, "' is unknown: expected a name such as Europe/Paris or UTC"));
  }
  return zone;
}

absl::Time NextAfter(const Calendar& calendar, absl::Time after, absl::TimeZone zone) {
  if (after == absl::InfiniteFuture()) return after;
  // Whatever is due at or before the civil time of `after` is due at or before `after`.
  absl::CivilSecond from = zone.At(std::max(after, absl::UnixEpoch() - absl::Hours(48))).cs + 1;
  while (true) {
    const std::optional<absl::CivilSecond> civil = FirstCivil(calendar, from);
    if (!civil.has_value()) return absl::InfiniteFuture();
    const absl::TimeZone::TimeInfo info = zone.At(*civil);
    if (DueInstant(info) > after) return DueInstant(info);
    const bool repeated = info.kind == absl::TimeZone::TimeInfo::REPEATED;
    from = repeated ? EndOfRepeated(info, zone) : *civil + 1;
  }
}

std::optional<absl::Time> LatestDue(const Calendar& calendar, absl::Time after, absl::Time now,
                                    absl::TimeZone zone) {
  if (now <= after || now == absl::InfiniteFuture()) return std::nullopt;
  // The last civil second that is due at or before `now`: while time is told the second time, all
  // of it has been.
  absl::CivilSecond last = zone.At(now).cs;
  const absl::TimeZone::TimeInfo info = zone.At(last);
  if (info.kind == absl::TimeZone::TimeInfo::REPEATED && now >= info.trans)
    last = EndOfRepeated(info, zone) - 1;
  const std::optional<absl::CivilSecond> civil = LastCivil(calendar, last);
  if (!civil.has_value()) return std::nullopt;
  const absl::Time due = DueInstant(zone.At(*civil));
  if (due <= after) return std::nullopt;
  return due;
}

}  // namespace ember::controller
