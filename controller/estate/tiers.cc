#include "controller/estate/tiers.h"

#include <algorithm>
#include <set>
#include <string>

#include "controller/protect/schedule.h"

namespace ember::controller {
namespace {

struct Tier {
  const char* name;
  const char* schedule;
  int64_t rpo_seconds;
  int64_t rto_seconds;
  int hourly;
};
constexpr Tier kTiers[] = {
    {"tier-1", "*:0/10", 15 * 60, 3600, 24},
    {"tier-2", "*:0/30", 3600, 4 * 3600, 24},
    {"tier-3", "0/3:00", 4 * 3600, 24 * 3600, 0},
};

v1::PolicySpec PolicyOf(const Tier& tier, const v1::Estate& estate) {
  v1::PolicySpec policy;
  policy.set_name(tier.name);
  policy.set_schedule(tier.schedule);
  for (const v1::VaultSpec& vault : estate.vaults()) policy.add_vaults(vault.name());
  v1::Keep* keep = policy.mutable_keep();
  keep->set_last(10);
  keep->set_hourly(tier.hourly);
  keep->set_daily(14);
  keep->set_weekly(8);
  keep->set_monthly(12);
  keep->set_min_verified(3);
  policy.set_verify_every_seconds(7 * 86400);
  return policy;
}

// Enough for a pattern to repeat: a week and some instants of it, or a year.
constexpr int kInstantsMin = 14;
constexpr int kInstantsMax = 1500;
constexpr absl::Duration kWeek = absl::Hours(24 * 8);
constexpr absl::Duration kYear = absl::Hours(24 * 370);

}  // namespace

void AddTiers(v1::Estate* estate) {
  std::set<std::string> declared;
  for (const v1::PolicySpec& policy : estate->policies()) declared.insert(policy.name());
  for (const Tier& tier : kTiers) {
    if (declared.count(tier.name) > 0) continue;
    bool used = false;
    for (v1::WorkloadSpec& workload : *estate->mutable_workloads()) {
      if (std::find(workload.policies().begin(), workload.policies().end(), tier.name) ==
          workload.policies().end())
        continue;
      used = true;
      if (workload.rpo_seconds() == 0) workload.set_rpo_seconds(tier.rpo_seconds);
      if (workload.rto_seconds() == 0) workload.set_rto_seconds(tier.rto_seconds);
    }
    if (used) *estate->add_policies() = PolicyOf(tier, *estate);
  }
}

absl::Duration LongestGap(const std::vector<const v1::PolicySpec*>& policies) {
  const absl::Time begin = absl::FromCivil(absl::CivilDay(2027, 1, 1), absl::UTCTimeZone());
  std::vector<absl::Time> instants;
  absl::Time covered = absl::InfiniteFuture();
  for (const v1::PolicySpec* policy : policies) {
    const bool cron = !policy->cron().empty();
    if (!cron && policy->schedule().empty()) continue;
    const absl::StatusOr<Calendar> calendar =
        cron ? ParseCron(policy->cron()) : ParseCalendar(policy->schedule());
    if (!calendar.ok()) continue;
    absl::Time time = begin;
    for (int n = 0; n < kInstantsMax; ++n) {
      time = NextAfter(*calendar, time, absl::UTCTimeZone());
      if (time - begin > kYear || (n >= kInstantsMin && time - begin > kWeek)) break;
      instants.push_back(time);
    }
    covered = std::min(covered, time);
  }
  if (instants.empty()) return absl::InfiniteDuration();
  std::sort(instants.begin(), instants.end());
  absl::Duration longest;
  for (size_t i = 1; i < instants.size() && instants[i] <= covered; ++i)
    longest = std::max(longest, instants[i] - instants[i - 1]);
  return longest;
}

}  // namespace ember::controller
