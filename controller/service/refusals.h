// Who was refused, in the event log.
#ifndef EMBER_CONTROLLER_SERVICE_REFUSALS_H_
#define EMBER_CONTROLLER_SERVICE_REFUSALS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "controller/em_state.h"

namespace ember::controller {

// Writes a `peer.refused` event about `who`; the same one at most every ten seconds, so that a
// scanner cannot fill the log. An event that cannot be written is logged: the refusal stands.
void NoteRefusal(EmState& em, const std::string& who, absl::string_view what)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_SERVICE_REFUSALS_H_
