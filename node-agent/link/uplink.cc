#include "node-agent/link/uplink.h"

#include <algorithm>

namespace ember::agent {
namespace {

bool Applies(const v1::BandwidthRule& rule, const std::string& node, int minute) {
  if (!rule.node().empty() && rule.node() != node) return false;
  const int from = rule.from_minute();
  const int to = rule.to_minute();
  if (from == to) return true;
  return from < to ? from <= minute && minute < to : minute >= from || minute < to;
}

}  // namespace

int64_t RateAt(const std::vector<v1::BandwidthRule>& rules, const std::string& node,
               int minute_of_day) {
  int64_t lowest = 0;
  for (const v1::BandwidthRule& rule : rules) {
    if (rule.bytes_per_second() <= 0 || !Applies(rule, node, minute_of_day)) continue;
    lowest = lowest == 0 ? rule.bytes_per_second() : std::min(lowest, rule.bytes_per_second());
  }
  return lowest;
}

void Uplink::Set(const v1::Settings& settings) {
  absl::MutexLock lock(&mu_);
  rules_.assign(settings.bandwidth().begin(), settings.bandwidth().end());
}

absl::Duration Uplink::Pace(const std::string& node, int64_t bytes) {
  absl::MutexLock lock(&mu_);
  const absl::CivilMinute civil = absl::ToCivilMinute(clock_->Now(), zone_);
  const int64_t rate = RateAt(rules_, node, civil.hour() * 60 + civil.minute());
  const absl::Duration now = clock_->Monotonic();
  absl::Duration& free_at = free_at_[node];
  if (rate == 0) {
    free_at = now;
    return absl::ZeroDuration();
  }
  const absl::Duration begin = std::max(now, free_at);
  free_at = begin + absl::Seconds(bytes) / rate;
  return free_at - now;
}

}  // namespace ember::agent
