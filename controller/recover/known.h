// What catalog and board say about a workload, in a word.
#ifndef EMBER_CONTROLLER_RECOVER_KNOWN_H_
#define EMBER_CONTROLLER_RECOVER_KNOWN_H_

#include <string>

#include "controller/em_state.h"

namespace ember::controller {

// UNKNOWN when there is no such node.
v1::NodeState::Value StateOf(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What the agent of `node` last said about it, or null.
const HeardWorkload* HeardOf(const EmState& em, const std::string& node,
                             const std::string& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Left to a person: ESCALATED or QUARANTINED.
bool IsGivenUp(v1::WorkloadState::Value state);

// It was started where it is placed now, healthy or not.
bool IsStarted(const EmState& em, const std::string& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What `spec` asks of `dependency` before it may start itself.
bool IsMet(const EmState& em, const v1::WorkloadSpec& spec, const std::string& dependency)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// It runs, and no recovery is under way: what depends on it may start.
bool IsVerified(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_KNOWN_H_
