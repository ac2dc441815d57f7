// Ready policies, and whether schedules can keep what an owner wants.
#ifndef EMBER_CONTROLLER_ESTATE_TIERS_H_
#define EMBER_CONTROLLER_ESTATE_TIERS_H_

#include <vector>

#include "absl/time/time.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// A workload that names `tier-1`, `tier-2` or `tier-3` without the estate declaring it gets that
// policy, in all vaults of the estate, and where it says nothing itself the tier's RPO and RTO:
//
//   tier-1  RPO 15 min, RTO 1 h    every 10 minutes
//   tier-2  RPO 1 h, RTO 4 h       every 30 minutes
//   tier-3  RPO 4 h, RTO 24 h      every 3 hours
//
// More often than the RPO, so that a backup is done before the one before it is too old.
void AddTiers(v1::Estate* estate);

// The longest time between two backups that the schedules of `policies` ask for, within a year
// without changes of the clocks; InfiniteDuration: none is scheduled. Schedules that cannot be read
// count as none.
absl::Duration LongestGap(const std::vector<const v1::PolicySpec*>& policies);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_TIERS_H_
