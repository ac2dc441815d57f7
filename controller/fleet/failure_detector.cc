#include "controller/fleet/failure_detector.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"

namespace ember::controller {
namespace {

using State = v1::NodeState;

absl::Duration SecondsOr(int64_t seconds, int64_t otherwise) {
  return absl::Seconds(seconds > 0 ? seconds : otherwise);
}

// Not heard since we listen again: its next beat may take a whole deadline to come round.
absl::Duration SilenceOf(const NodeView& node, const FleetView& fleet) {
  const absl::Duration heard = node.last_beat >= fleet.trusted_from
                                   ? node.last_beat
                                   : fleet.trusted_from + absl::Seconds(kBeatDeadlineSeconds);
  return std::max(absl::ZeroDuration(), fleet.now - heard);
}

// Of two nodes the one that is left is enough to judge the other; whether that proves a fence is
// another question (JudgeLeaseFence), and without a proof a person is asked.
bool IsMajority(int leased, int counted) {
  return counted == 0 || leased * 2 > counted || (counted == 2 && leased == 1);
}

bool InGrace(const FleetView& fleet, const DetectorPolicy& policy) {
  return fleet.now - fleet.trusted_from < kStartGraceLeases * policy.lease;
}

State::Value JudgeSilence(const NodeView& node, absl::Duration silent, const FleetView& fleet,
                          const DetectorPolicy& policy) {
  if (node.revoked) return State::REVOKED;
  if (!node.ever_beat) return State::JOINED;
  // Only a beat heard since it was judged brings a node back; a controller restart or a stall does
  // not.
  const bool heard_since = node.last_beat > node.state_since;
  if (node.state == State::DEAD && !heard_since) return State::DEAD;
  if (silent < policy.suspect_after) {
    const bool was_silent = node.state == State::SUSPECT || node.state == State::UNREACHABLE;
    return was_silent && !heard_since ? node.state : State::ALIVE;
  }
  if (silent < policy.unreachable_after) return State::SUSPECT;
  if (silent < policy.dead_after || InGrace(fleet, policy)) return State::UNREACHABLE;
  return State::DEAD;
}

bool Counted(const NodeView& node) { return !node.revoked && !node.maintenance && node.ever_beat; }

FreezeView JudgeFreeze(const FleetView& fleet, const std::vector<NodeVerdict>& verdicts,
                       const DetectorPolicy& policy) {
  int counted = 0;
  int leased = 0;
  int fell_silent = 0;
  int dead_before = 0;
  for (size_t i = 0; i < fleet.nodes.size(); ++i) {
    if (!Counted(fleet.nodes[i])) continue;
    ++counted;
    // Long dead ones count for the majority, not as news, and nobody waits for them to thaw.
    if (fleet.nodes[i].state == State::DEAD) {
      ++dead_before;
      continue;
    }
    const absl::Duration silent = verdicts[i].silent_for;
    if (silent < policy.lease) ++leased;
    if (silent >= policy.suspect_after &&
        silent < policy.suspect_after + absl::Seconds(kFreezeWindowSeconds)) {
      ++fell_silent;
    }
  }
  FreezeView freeze = fleet.freeze;
  const int allowed = std::max(1, counted * policy.freeze_over_percent / 100);
  const bool majority = IsMajority(leased, counted);
  if (!freeze.frozen) {
    if (fell_silent <= allowed && majority) return freeze;
    freeze.frozen = true;
    freeze.thaw_from = absl::InfiniteDuration();
    freeze.reason =
        majority ? absl::StrCat(fell_silent, " of ", counted, " nodes fell silent within a minute")
                 : absl::StrCat("only ", leased, " of ", counted, " nodes hold a lease");
    return freeze;
  }
  // In a small estate those that may be missing without a freeze are more than the rest of it.
  const int missing = counted - dead_before - leased;
  const bool enough =
      majority && (missing <= allowed || leased * 100 >= (counted - dead_before) * kThawPercent);
  if (!enough) {
    freeze.thaw_from = absl::InfiniteDuration();
  } else if (freeze.thaw_from == absl::InfiniteDuration()) {
    freeze.thaw_from = fleet.now;
  } else if (fleet.now - freeze.thaw_from >= absl::Seconds(kThawSeconds)) {
    freeze = FreezeView{};
  }
  return freeze;
}

}  // namespace

DetectorPolicy PolicyFrom(const v1::Settings& settings) {
  DetectorPolicy policy;
  policy.lease = SecondsOr(settings.lease_seconds(), kLeaseSeconds);
  policy.suspect_after = SecondsOr(settings.suspect_after_seconds(), kSuspectSeconds);
  policy.unreachable_after = SecondsOr(settings.unreachable_after_seconds(), kUnreachableSeconds);
  policy.dead_after = SecondsOr(settings.dead_after_seconds(), kDeadSeconds);
  policy.freeze_over_percent =
      settings.freeze_over_percent() > 0 ? settings.freeze_over_percent() : kFreezeOverPercent;
  return policy;
}

absl::Duration SureLease(absl::Duration lease) { return lease * 3 / 4; }

FleetVerdict JudgeFleet(const FleetView& fleet, const DetectorPolicy& policy) {
  FleetVerdict verdict;
  for (const NodeView& node : fleet.nodes) {
    const absl::Duration silent = SilenceOf(node, fleet);
    verdict.nodes.push_back({node.name, JudgeSilence(node, silent, fleet, policy), silent});
  }
  verdict.freeze = JudgeFreeze(fleet, verdict.nodes, policy);
  if (!verdict.freeze.frozen) return verdict;
  for (size_t i = 0; i < verdict.nodes.size(); ++i) {
    if (verdict.nodes[i].state == State::DEAD && fleet.nodes[i].state != State::DEAD) {
      verdict.nodes[i].state = State::UNREACHABLE;
    }
  }
  return verdict;
}

LeaseFence JudgeLeaseFence(const FleetView& fleet, const std::string& node,
                           const std::set<std::string>& told, const DetectorPolicy& policy) {
  const auto it = std::find_if(fleet.nodes.begin(), fleet.nodes.end(),
                               [&](const NodeView& other) { return other.name == node; });
  if (it == fleet.nodes.end()) return LeaseFence::kUnprovable;
  const bool lapsed =
      it->state == State::DEAD || (it->revoked && SilenceOf(*it, fleet) >= policy.dead_after &&
                                   !InGrace(fleet, policy) && !fleet.freeze.frozen);
  if (!lapsed) return LeaseFence::kPending;
  const absl::Duration last_told = std::max(it->last_beat, it->recorded_beat);
  int voters = 1;
  int leased = 0;
  int hoped = 0;  // hold a lease, or may again
  for (const NodeView& other : fleet.nodes) {
    if (&other == &*it || !other.ever_beat) continue;
    const bool knows = told.count(other.name) > 0;
    const bool forgotten =
        !knows && other.revoked && other.state_since + policy.dead_after <= last_told;
    if (forgotten) continue;
    const bool held = !other.revoked && fleet.now - other.leased_beat < SureLease(policy.lease) &&
                      other.leased_since + policy.dead_after <= fleet.now;
    if (!knows && held) continue;
    ++voters;
    if (!knows || other.revoked) continue;
    if (held) ++leased;
    if (held || other.state != State::DEAD) ++hoped;
  }
  if (leased * 2 >= voters) return LeaseFence::kProven;
  return hoped * 2 >= voters ? LeaseFence::kPending : LeaseFence::kUnprovable;
}

}  // namespace ember::controller
