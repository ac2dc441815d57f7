// The recovery part of a tick: workload states, new recoveries, one step of each open one.
#ifndef EMBER_CONTROLLER_RECOVER_RECOVERIES_H_
#define EMBER_CONTROLLER_RECOVER_RECOVERIES_H_

#include <string>
#include <vector>

#include "controller/em_state.h"
#include "controller/recover/judge.h"
#include "controller/recover/saga.h"

namespace ember::controller {

// Judges every workload, writes what changed, and begins a recovery for each that died and may be
// recovered.
absl::Status UpdateWorkloads(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Takes every open recovery one step, dependencies first.
absl::Status AdvanceRecoveries(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The workload at its present placement, by its agent's newest facts; kUnknown while its node is
// not ALIVE.
WorkloadJudgement JudgeNow(const EmState& em, const v1::WorkloadSpec& spec,
                           const record::v1::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The open recovery of a workload, or null.
const record::v1::RecoveryRecord* OpenRecoveryOf(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The next one's, counted in `batch`.
std::string NextRecoveryId(const EmState& em, Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// FAILED_PRECONDITION while a recovery of it is open: that stops and starts it as it needs.
absl::Status RefuseWhileRecovered(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What a person should look at: the open recovery, or the last one as long as it waits for a
// person; else null.
const record::v1::RecoveryRecord* RecoveryToShow(const EmState& em,
                                                 const record::v1::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What would be done if `subject` (a workload or a node) died now.
absl::StatusOr<v1::PlanRecoveryReply> PreviewRecovery(const EmState& em, const std::string& subject)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_RECOVERIES_H_
