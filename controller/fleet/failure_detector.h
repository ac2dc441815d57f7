// Judges silence. Pure: values in, verdicts out.
//
// ALIVE → SUSPECT → UNREACHABLE → DEAD by the time since the last beat was received. An agent's
// lease counts from its own send time, which is earlier than our receipt, so `dead_after >= lease +
// self-fence + margin` means that a DEAD node has already stopped what must not run twice (Gray and
// Cheriton, "Leases", SOSP'89).
#ifndef EMBER_CONTROLLER_FLEET_FAILURE_DETECTOR_H_
#define EMBER_CONTROLLER_FLEET_FAILURE_DETECTOR_H_

#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ember/v1/estate.pb.h"
#include "ember/v1/types.pb.h"

namespace ember::controller {

struct DetectorPolicy {
  absl::Duration lease;
  absl::Duration suspect_after;
  absl::Duration unreachable_after;
  absl::Duration dead_after;
  int freeze_over_percent = 0;
};
// Settings of the estate; what is unset takes its default from common/base/limits.h.
DetectorPolicy PolicyFrom(const v1::Settings& settings);

// The part of a lease for which it is surely held: a beat may have been long on its way before its
// receipt, from which it seems to count.
absl::Duration SureLease(absl::Duration lease);

// Durations are monotonic and count from the same start.
struct NodeView {
  std::string name;
  v1::NodeState::Value state = v1::NodeState::UNKNOWN;  // before
  absl::Duration
      last_beat;  // InfiniteDuration() negative when it never beat since the controller started
  absl::Duration state_since;  // since when it has been in `state`
  bool ever_beat = false;      // at any time; a node that only joined is JOINED, never DEAD
  absl::Duration recorded_beat = -absl::InfiniteDuration();  // the last one of any term
  // Of its lease in this term: receipt of the newest beat that was answered, and since when it was
  // held without a gap.
  absl::Duration leased_beat = -absl::InfiniteDuration();
  absl::Duration leased_since = -absl::InfiniteDuration();
  bool maintenance = false;  // silence is expected: judged, but neither counted nor acted upon
  bool revoked = false;
};

struct FreezeView {
  bool frozen = false;
  std::string reason;
  absl::Duration
      thaw_from;  // since when enough nodes are back; InfiniteDuration() while they are not
};

struct FleetView {
  std::vector<NodeView> nodes;
  FreezeView freeze;
  absl::Duration now;
  absl::Duration trusted_from;  // the later of controller start, thaw and the last stall: silence
                                // counts from here
};

struct NodeVerdict {
  std::string name;
  v1::NodeState::Value state;
  absl::Duration silent_for;
};

struct FleetVerdict {
  std::vector<NodeVerdict> nodes;
  FreezeView freeze;
};

// Nobody is DEAD earlier than kStartGraceLeases leases after `trusted_from`. Frozen when more than
// max(1, freeze_over_percent) of the counted nodes fell silent within kFreezeWindow, or when half
// of them or more hold no lease; thawed when kThawPercent are back for kThaw. While frozen no node
// becomes DEAD.
FleetVerdict JudgeFleet(const FleetView& fleet, const DetectorPolicy& policy);

// What silence proves about the workloads of a node that fence themselves.
enum class LeaseFence {
  kPending,     // nothing yet
  kProven,      // they have stopped
  kUnprovable,  // nothing, however long it lasts
};

// A DEAD node, and a removed one after the same time, because its beats are refused, has stopped
// them: unless it counts a majority without a lease in the vote of its peers. Its voters are
// itself, the peers it was told of, and those it may have been told of meanwhile; also when they
// are in maintenance, or removed with it. Nothing is proven while fewer than half of them, all of
// whom it knows, have held a lease for that time. `told`: the peers it asks when it has no lease.
LeaseFence JudgeLeaseFence(const FleetView& fleet, const std::string& node,
                           const std::set<std::string>& told, const DetectorPolicy& policy);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_FAILURE_DETECTOR_H_
