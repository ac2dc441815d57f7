// The fence commands' part of a tick.
#ifndef EMBER_CONTROLLER_RECOVER_FENCES_H_
#define EMBER_CONTROLLER_RECOVER_FENCES_H_

#include <string>

#include "controller/em_state.h"
#include "controller/recover/fence_command.h"

namespace ember::controller {

// What the fence command of `node` says.
FenceCommand FenceCommandOf(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// It has one, and some node that could run it now.
bool HasFenceCommand(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Begins and ends the fence commands that recoveries wait for.
absl::Status AdvanceFences(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_FENCES_H_
