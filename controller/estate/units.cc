#include "controller/estate/units.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"

namespace ember::controller {
namespace {

struct Unit {
  absl::string_view name;
  int64_t millis;
};
// From the largest on; weeks are read only.
constexpr Unit kUnits[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000},
                           {"m", 60000},     {"s", 1000},     {"ms", 1}};

struct SizeUnit {
  absl::string_view name;
  int64_t bytes;
};
// From the largest on.
constexpr SizeUnit kSizeUnits[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}};
constexpr int64_t kMillisMax = kEstateDurationYearsMax * 366 * 86400000;

// The leading characters of `text` for which `is` holds, taken off it.
absl::string_view TakeWhile(bool (*is)(unsigned char), absl::string_view* text) {
  size_t length = 0;
  while (length < text->size() && is(static_cast<unsigned char>((*text)[length]))) ++length;
  const absl::string_view taken = text->substr(0, length);
  text->remove_prefix(length);
  return taken;
}

}  // namespace

absl::StatusOr<int64_t> ParseMillis(absl::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a duration such as 500ms, 20s, 5m, 2h or 7d"));
  int64_t total = 0;
  absl::string_view rest = text;
  if (rest.empty()) return wrong;
  while (!rest.empty()) {
    const absl::string_view digits = TakeWhile(absl::ascii_isdigit, &rest);
    const absl::string_view name = TakeWhile(absl::ascii_isalpha, &rest);
    int64_t number = 0;
    if (digits.size() > 15 || !absl::SimpleAtoi(digits, &number)) return wrong;
    int64_t unit_millis = 0;
    for (const Unit& unit : kUnits) {
      if (unit.name == name) unit_millis = unit.millis;
    }
    if (unit_millis == 0) return wrong;
    if (number > (kMillisMax - total) / unit_millis) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "' is longer than ", kEstateDurationYearsMax, " years"));
    }
    total += number * unit_millis;
  }
  return total;
}

std::string FormatMillis(int64_t millis) {
  if (millis == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (unit.name != "w" && millis % unit.millis == 0)
      return absl::StrCat(millis / unit.millis, unit.name);
  }
  return absl::StrCat(millis, "ms");
}

std::string FormatSeconds(int64_t seconds) { return FormatMillis(seconds * 1000); }

absl::StatusOr<int64_t> ParseSize(absl::string_view text) {
  absl::string_view rest = text;
  const absl::string_view digits = TakeWhile(absl::ascii_isdigit, &rest);
  int64_t number = 0;
  if (digits.size() <= 9 && absl::SimpleAtoi(digits, &number)) {
    for (const SizeUnit& unit : kSizeUnits) {
      if (unit.name == rest) return number * unit.bytes;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a size such as 512KiB, 2MiB or 1GiB"));
}

std::string FormatSize(int64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes % unit.bytes == 0) return absl::StrCat(bytes / unit.bytes, unit.name);
  }
  return absl::StrCat(bytes >> 10, "KiB");
}

}  // namespace ember::controller
