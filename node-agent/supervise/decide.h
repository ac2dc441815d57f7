// What to do about one workload, from what is known about it: values in, a value out.
#ifndef EMBER_NODE_AGENT_SUPERVISE_DECIDE_H_
#define EMBER_NODE_AGENT_SUPERVISE_DECIDE_H_

#include "ember/v1/estate.pb.h"

namespace ember::agent {

// Must a start wait? What fences itself, and what is exclusive and has a standby, needs a lease.
// Any other exclusive workload may have been moved by a person while this node was away: it waits
// until the controller had its say (link/self_fence.h), so that it starts here without a
// controller, too.
bool WaitsForController(const v1::WorkloadSpec& spec, bool self_fence, bool gate_open,
                        bool controller_had_its_say);

struct Situation {
  bool has_service = true;    // false: kind none
  bool want_run = false;      // assigned RUN, or a START order; not held, not stopped by an order
  bool epoch_current = true;  // no higher placement epoch was ever seen here
  bool restoring = false;     // an in-place restore is accepted or under way
  bool data_lost = false;     // data is expected and plainly gone
  bool fenced = false;        // it fences itself, and there is neither lease nor majority
  bool waits = false;         // see WaitsForController
  bool running = false;
  int restarts = 0;  // exits within the restart window
  int restart_limit = 0;
  bool exhausted = false;   // gave up already
  bool restart_due = true;  // the delay after the last exit is over
};

enum class Decision { kNothing, kStart, kStop, kGiveUp };

// Never starts on lost data, below the highest epoch seen, during a restore, or what waits for the
// controller. Never stops anything for want of the controller except what fences itself. A running
// workload whose data is lost keeps running: what becomes of it is the controller's decision.
Decision Decide(const Situation& situation);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_DECIDE_H_
