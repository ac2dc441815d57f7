// Any bytes as an estate file and as a schedule; what is accepted must survive being exported.
#include <string>
#include <vector>

#include "controller/estate/exporter.h"
#include "controller/estate/parser.h"
#include "controller/protect/schedule.h"
#include "tests/fuzz/fuzz_target.h"

namespace ember::fuzz {
namespace {

void LookAtEstate(absl::string_view text) {
  std::vector<std::string> warnings;
  const absl::StatusOr<v1::Estate> estate =
      controller::EstateAfter(v1::Estate(), text, "f", &warnings);
  if (!estate.ok()) return;
  const std::string exported = controller::ExportEstate(*estate);
  const absl::StatusOr<v1::Estate> again = controller::ParseEstate(exported, "f");
  Require(again.ok() && controller::ExportEstate(*again) == exported);
}

void LookAtSchedule(absl::string_view text) {
  for (const auto& calendar : {controller::ParseCalendar(text), controller::ParseCron(text)}) {
    if (!calendar.ok()) continue;
    const absl::Time start = absl::FromUnixSeconds(1767225600);
    const absl::Time next = controller::NextAfter(*calendar, start, absl::UTCTimeZone());
    Require(next > start);
    Require(next == absl::InfiniteFuture() ||
            controller::LatestDue(*calendar, start, next, absl::UTCTimeZone()) == next);
  }
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  LookAtEstate(bytes);
  LookAtSchedule(bytes);
}

}  // namespace ember::fuzz
