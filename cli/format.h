// Sizes, durations and times as people write and read them.
#ifndef EMBER_CLI_FORMAT_H_
#define EMBER_CLI_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/context.h"
#include "google/protobuf/timestamp.pb.h"

namespace ember::cli {

// "512 B", "1.5 KiB", "12 MiB". Negative sizes read "?".
std::string FormatBytes(int64_t bytes);

// One unit, rounded down: "45 s", "3 min", "5 h", "2 d". For ages.
std::string FormatRough(absl::Duration duration);
// Two units: "0.4 s", "34 s", "2 min 5 s", "3 h 10 min". For measured times.
std::string FormatExact(absl::Duration duration);

// "2026-11-19 12:00:03 (3 min ago)" in the context's zone; "never" when unset.
std::string FormatTime(const Context& context, const google::protobuf::Timestamp& time);
// "3 min ago", "in 2 h"; "never" when unset.
std::string FormatAge(const Context& context, const google::protobuf::Timestamp& time);
// Without the age, for lines of a log.
std::string FormatInstant(const Context& context, const google::protobuf::Timestamp& time);

// "2h", "90s", "7d", "1h30m": positive. INVALID_ARGUMENT otherwise.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// RFC 3339, or a date with or without time of day in the context's zone, or a duration before now.
absl::StatusOr<absl::Time> ParseSince(const Context& context, absl::string_view text);

// "1 file", "2 files".
std::string Counted(int64_t n, absl::string_view noun);

}  // namespace ember::cli

#endif  // EMBER_CLI_FORMAT_H_
