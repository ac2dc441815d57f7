// The right to act that an acknowledged beat grants (Gray and Cheriton, SOSP 1989).
#ifndef EMBER_NODE_AGENT_LINK_LEASE_H_
#define EMBER_NODE_AGENT_LINK_LEASE_H_

#include "absl/time/time.h"

namespace ember::agent {

// Counted on Clock::Monotonic from the moment the beat was *sent*, so that it ends here before the
// controller, which counts from the receipt, believes it ended. A value; not thread-safe.
class Lease {
 public:
  // A reply to the beat sent at `sent` granted `length`. A reply to an older beat than one already
  // answered, and a length that is not positive, change nothing. A newer beat may shorten the
  // lease: the estate's settings changed.
  void Grant(absl::Duration sent, absl::Duration length);
  bool Held(absl::Duration now) const { return now < end_; }
  // InfinitePast-like (-infinite) when never granted.
  absl::Duration end() const { return end_; }
  bool ever_granted() const { return length_ > absl::ZeroDuration(); }
  // Of the newest grant; kLeaseSeconds before the first.
  absl::Duration length() const;

 private:
  absl::Duration sent_ = -absl::InfiniteDuration();
  absl::Duration end_ = -absl::InfiniteDuration();
  absl::Duration length_ = absl::ZeroDuration();
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_LEASE_H_
