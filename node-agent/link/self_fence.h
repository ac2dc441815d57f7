// When a node must stop its self-fencing workloads by itself: values in, values out.
//
// An agent may keep them running while it holds a lease, or while a majority of nodes, itself
// included, cannot reach the controller either: then nobody can act on its silence. A vote counts
// for one lease. Leases of a dead controller lapse up to a held beat apart, so a first "I still
// have mine" is no verdict: peers are asked again until the self-fence time leaves just enough for
// TERM and KILL.
#ifndef EMBER_NODE_AGENT_LINK_SELF_FENCE_H_
#define EMBER_NODE_AGENT_LINK_SELF_FENCE_H_

#include <optional>

#include "absl/time/time.h"
#include "node-agent/link/lease.h"

namespace ember::agent {

// What the peers said. `peers` does not count this node.
struct Vote {
  int peers = 0;
  int without_lease = 0;  // answered, and cannot reach the controller either
};

// True when this node and the peers without a lease are more than half of all nodes; a node without
// peers is.
bool ControllerIsDown(const Vote& vote);

// All times are Clock::Monotonic. Not thread-safe.
class SelfFence {
 public:
  // At `start` nothing is known. Workloads found running are under the deadline an earlier agent
  // gave them; this agent adds its own verdict only after one lease.
  explicit SelfFence(absl::Duration start);

  void Granted(const Lease& lease);
  // The controller answered that this node is not one of its own (any more).
  void Refused() { refused_ = true; }
  // A beat brought no reply.
  void Unanswered() { unanswered_ = true; }
  // The answers to a vote that was asked at `asked`, by a node whose lease lasts `length`.
  void Voted(absl::Duration asked, const Vote& vote, absl::Duration length);

  enum class Action { kNone, kAskPeers, kFence };
  struct Step {
    Action action = Action::kNone;
    absl::Duration ask_timeout = absl::ZeroDuration();  // of kAskPeers
  };
  // What is to be done at `now`. kFence is returned once; from then on fenced() holds until a lease
  // is granted.
  Step Next(absl::Duration now);

  // The instant at which a workload must stop even when no agent is left to do it; nothing before
  // the first lease or vote, because then the deadline given earlier is the better one.
  std::optional<absl::Duration> deadline() const;
  bool fenced() const { return fenced_; }
  // May a self-fencing workload be started? Needs one lease in the life of this agent, and no
  // fencing since.
  bool gate_open() const { return gate_open_ && !fenced_ && !refused_; }
  // Did the controller grant a lease, or leave a beat unanswered and let the time of one pass since
  // `start`? Not while it refuses this node.
  bool controller_had_its_say(absl::Duration now) const;

 private:
  absl::Duration FenceAt() const;

  absl::Duration start_;
  bool known_ = false;
  bool refused_ = false;
  bool unanswered_ = false;
  bool gate_open_ = false;
  bool fenced_ = false;
  bool by_vote_ = false;
  absl::Duration right_until_;
  absl::Duration ask_from_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_SELF_FENCE_H_
