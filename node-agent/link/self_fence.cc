#include "node-agent/link/self_fence.h"

#include <algorithm>

#include "common/base/limits.h"

namespace ember::agent {
namespace {

// What the self-fence time leaves for asking.
constexpr int64_t kAskSeconds = kSelfFenceSeconds - kSelfFenceKillSeconds;

}  // namespace

bool ControllerIsDown(const Vote& vote) {
  const int nodes = vote.peers + 1;
  return (vote.without_lease + 1) * 2 > nodes;
}

SelfFence::SelfFence(absl::Duration start)
    : start_(start), right_until_(start + absl::Seconds(kLeaseSeconds)), ask_from_(start) {}

absl::Duration SelfFence::FenceAt() const { return right_until_ + absl::Seconds(kAskSeconds); }

void SelfFence::Granted(const Lease& lease) {
  known_ = true;
  refused_ = false;
  gate_open_ = true;
  fenced_ = false;
  by_vote_ = false;
  right_until_ = lease.end();
  ask_from_ = right_until_;
}

void SelfFence::Voted(absl::Duration asked, const Vote& vote, absl::Duration length) {
  if (fenced_ || !ControllerIsDown(vote)) return;
  // A reply that granted a lease while the peers were asked is the better right.
  if (known_ && !by_vote_ && right_until_ > asked) return;
  known_ = true;
  by_vote_ = true;
  right_until_ = std::max(right_until_, asked + length);
  // Ask again while this vote still counts, so that a changed answer is known before it ends.
  ask_from_ = asked + length / 2;
}

SelfFence::Step SelfFence::Next(absl::Duration now) {
  if (fenced_ || now < ask_from_) return {};
  if (now >= FenceAt()) {
    fenced_ = true;
    return {Action::kFence, absl::ZeroDuration()};
  }
  return {Action::kAskPeers, std::min(absl::Milliseconds(kPeerVoteMillis), FenceAt() - now)};
}

bool SelfFence::controller_had_its_say(absl::Duration now) const {
  const bool silent = unanswered_ && now >= start_ + absl::Seconds(kBeatDeadlineSeconds);
  return !refused_ && (gate_open_ || silent);
}

std::optional<absl::Duration> SelfFence::deadline() const {
  if (!known_) return std::nullopt;
  return FenceAt();
}

}  // namespace ember::agent
