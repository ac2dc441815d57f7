// Durations and sizes as an estate file writes them.
#ifndef EMBER_CONTROLLER_ESTATE_UNITS_H_
#define EMBER_CONTROLLER_ESTATE_UNITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::controller {

// "500ms", "20s", "5m", "2h", "7d", "2w" and sums of them ("1h30m") in milliseconds, 0 to
// kEstateDurationYearsMax. INVALID_ARGUMENT for anything else, a number without a unit included.
absl::StatusOr<int64_t> ParseMillis(absl::string_view text);

// In the largest unit up to days that divides it; ParseMillis reads it back. `millis` is not
// negative.
std::string FormatMillis(int64_t millis);
std::string FormatSeconds(int64_t seconds);

// "512KiB", "2MiB", "1GiB" in bytes. INVALID_ARGUMENT for anything else, a number without a unit
// included.
absl::StatusOr<int64_t> ParseSize(absl::string_view text);
// In the largest unit that divides it; `bytes` is a multiple of 1 KiB. ParseSize reads it back.
std::string FormatSize(int64_t bytes);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_UNITS_H_
