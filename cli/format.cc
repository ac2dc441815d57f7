#include "cli/format.h"

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/errors.h"
#include "common/rpc/convert.h"

namespace ember::cli {

std::string FormatBytes(int64_t bytes) {
  if (bytes < 0) return "?";
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would print as "1024": the next unit reads better.
  while (value >= 1023.5 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? absl::StrFormat("%.1f %s", value, kUnits[unit])
                      : absl::StrFormat("%.0f %s", value, kUnits[unit]);
}

std::string FormatRough(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return "forever";
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 120) return absl::StrCat(seconds, " s");
  if (seconds < 2 * 3600) return absl::StrCat(seconds / 60, " min");
  if (seconds < 2 * 86400) return absl::StrCat(seconds / 3600, " h");
  return absl::StrCat(seconds / 86400, " d");
}

std::string FormatExact(absl::Duration duration) {
  const double exact = std::max(0.0, absl::ToDoubleSeconds(duration));
  if (exact < 9.95) return absl::StrFormat("%.1f s", exact);
  const int64_t seconds = std::llround(exact);
  if (seconds < 60) return absl::StrCat(seconds, " s");
  auto pair = [](int64_t big, absl::string_view unit, int64_t rest, absl::string_view rest_unit) {
    return rest == 0 ? absl::StrCat(big, " ", unit)
                     : absl::StrCat(big, " ", unit, " ", rest, " ", rest_unit);
  };
  if (seconds < 3600) return pair(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86400) return pair(seconds / 3600, "h", seconds % 3600 / 60, "min");
  return pair(seconds / 86400, "d", seconds % 86400 / 3600, "h");
}

std::string FormatInstant(const Context& context, const google::protobuf::Timestamp& time) {
  const absl::Time instant = rpc::FromTimestamp(time);
  if (instant == absl::InfinitePast()) return "never";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", instant, context.zone);
}

std::string FormatAge(const Context& context, const google::protobuf::Timestamp& time) {
  const absl::Time instant = rpc::FromTimestamp(time);
  if (instant == absl::InfinitePast()) return "never";
  const absl::Duration age = context.clock->Now() - instant;
  // Clocks of two machines differ a little: what just happened is not "in 1 s".
  if (age < absl::Seconds(-5)) return absl::StrCat("in ", FormatRough(-age));
  return absl::StrCat(FormatRough(age), " ago");
}

std::string FormatTime(const Context& context, const google::protobuf::Timestamp& time) {
  if (rpc::FromTimestamp(time) == absl::InfinitePast()) return "never";
  return absl::StrCat(FormatInstant(context, time), " (", FormatAge(context, time), ")");
}

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  absl::string_view days = text;
  int64_t n = 0;
  bool good = absl::ParseDuration(text, &duration);
  if (!good && absl::EndsWith(days, "d")) {
    days.remove_suffix(1);
    good = absl::SimpleAtoi(days, &n) && n <= 36500;
    duration = absl::Hours(24) * n;
  }
  if (!good || duration <= absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(
                        "'", text, "' is not a duration: a number and a unit are needed")),
                    "write for example 90s, 15m, 2h or 7d");
  }
  return duration;
}

absl::StatusOr<absl::Time> ParseSince(const Context& context, absl::string_view text) {
  auto duration = ParseDuration(text);
  if (duration.ok()) return context.clock->Now() - *duration;
  std::string ignored;
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored) &&
      time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
    return time;
  }
  for (const char* format :
       {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    // Words such as "infinite-past" parse with any format.
    if (absl::ParseTime(format, text, context.zone, &time, &ignored) &&
        time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
      return time;
    }
  }
  return WithHint(absl::InvalidArgumentError(
                      absl::StrCat("'", text, "' is not a time: neither RFC 3339 nor a duration")),
                  "write for example 2026-11-19T12:00:00Z, 2026-11-19 or 2h");
}

std::string Counted(int64_t n, absl::string_view noun) {
  return absl::StrCat(n, " ", noun, n == 1 ? "" : "s");
}

}  // namespace ember::cli
