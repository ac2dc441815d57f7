// libFuzzer: any bytes through the estate parser; what it accepts must survive being exported.
//   build/tests/fuzz/estate_parser_fuzz tests/fuzz/corpus/estate
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/estate/exporter.h"
#include "controller/estate/parser.h"
#include "controller/protect/schedule.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ember;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> warnings;
  const absl::StatusOr<v1::Estate> estate =
      controller::EstateAfter(v1::Estate(), text, "f", &warnings);
  if (estate.ok()) {
    const std::string exported = controller::ExportEstate(*estate);
    const absl::StatusOr<v1::Estate> again = controller::ParseEstate(exported, "f");
    Require(again.ok() && controller::ExportEstate(*again) == exported);
  }
  for (const auto& calendar : {controller::ParseCalendar(text), controller::ParseCron(text)}) {
    if (!calendar.ok()) continue;
    const absl::Time start = absl::FromUnixSeconds(1767225600);
    const absl::Time next = controller::NextAfter(*calendar, start, absl::UTCTimeZone());
    Require(next > start);
    Require(next == absl::InfiniteFuture() ||
            controller::LatestDue(*calendar, start, next, absl::UTCTimeZone()) == next);
  }
  return 0;
}
