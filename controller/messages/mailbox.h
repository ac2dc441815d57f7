// Messages between workloads: each is kept until its receiver has confirmed it, and kept once,
// whatever is sent again.
#ifndef EMBER_CONTROLLER_MESSAGES_MAILBOX_H_
#define EMBER_CONTROLLER_MESSAGES_MAILBOX_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Durable when OK; then as kept, or as it was kept when its id came before. INVALID_ARGUMENT: no id
// or receiver, or over the bounds. NOT_FOUND: the estate has no such receiver. RESOURCE_EXHAUSTED:
// too much waits already, for the receiver or in all.
absl::StatusOr<v1::Message> KeepMessage(EmState& em, v1::Message message)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What `node` has spooled, in its order, each once: the messages and how far they were taken are
// durable together. What can never be kept is an event, and passed over; what there is no room for
// stays with the agent, and so does what follows it.
absl::Status RecordSpooled(EmState& em, const std::string& node,
                           const v1::HeartbeatRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The oldest message that waits for `workload`, or null.
const v1::Message* OldestFor(const Catalog& catalog, const std::string& workload);

// The receiver has it. OK also when it had confirmed before.
absl::Status ConfirmMessage(EmState& em, const std::string& workload, uint64_t seq)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Takes the messages of receivers that are no longer in `next` with it, telling how many waited.
void EraseMailboxesNotIn(const v1::Estate& next, const Catalog& catalog, Batch* batch);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_MESSAGES_MAILBOX_H_
