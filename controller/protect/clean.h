// Backups that go by the rules of `keep`: which ones, and their deletion.
#ifndef EMBER_CONTROLLER_PROTECT_CLEAN_H_
#define EMBER_CONTROLLER_PROTECT_CLEAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

enum class CleanRules {
  // Where no policy of a workload has a `keep`, nothing goes.
  kAsDeclared,
  // There the last 10, all of 7 days, and one per week of a month and per month of a year stay: for
  // a person who asks for it, and sees what goes.
  kWithDefault,
};

// What the policies of `estate` say of each backup of the workload that is stored and not in the
// trash, newest first.
std::vector<v1::CleanItem> PlanClean(const EmState& em, const v1::Estate& estate,
                                     const std::string& workload, CleanRules rules)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// NOT_FOUND: neither declared nor backed up. An empty name: of all.
absl::StatusOr<v1::CleanPlan> PlanCleanOf(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The deletions that `who` asked for, of what the rules let go now, and why the rest stays.
absl::StatusOr<v1::CleanReply> Clean(EmState& em, const std::string& who,
                                     const v1::CleanRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Adds the deletions that the rules ask for: after each backup, after each change of the estate,
// and each kRetentionEvery. No more than the vault's deletion budget allows: what is beyond it
// waits for the next days, or for `ember clean`.
absl::Status AddDueDeletions(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// FAILED_PRECONDITION: a deletion by rule of what the rules would keep by now.
absl::Status CheckStillGoes(const EmState& em, const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// For each workload what the rules of `next` let go and those in force do not, as a sentence.
std::vector<std::string> WhatMoreWouldGo(const EmState& em, const v1::Estate& next)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_CLEAN_H_
