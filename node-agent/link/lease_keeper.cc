#include "node-agent/link/lease_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"

namespace ember::agent {

LeaseKeeper::LeaseKeeper(Ports ports)
    : ports_(std::move(ports)), fence_(ports_.clock->Monotonic()) {}

LeaseKeeper::~LeaseKeeper() { Stop(); }

void LeaseKeeper::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void LeaseKeeper::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::Granted(absl::Duration sent, absl::Duration length) {
  {
    absl::MutexLock lock(&mu_);
    lease_.Grant(sent, length);
    if (!lease_.Held(ports_.clock->Monotonic()))
      return;  // the reply came too late to be worth anything
    if (fence_.fenced()) LogInfo("lease", "a lease is held again");
    fence_.Granted(lease_);
  }
  Apply();
}

void LeaseKeeper::Refused() {
  {
    absl::MutexLock lock(&mu_);
    fence_.Refused();
  }
  Apply();
}

void LeaseKeeper::Unanswered() {
  absl::MutexLock lock(&mu_);
  fence_.Unanswered();
}

bool LeaseKeeper::HasLease() const {
  absl::MutexLock lock(&mu_);
  return lease_.Held(ports_.clock->Monotonic());
}

void LeaseKeeper::Loop() {
  do {
    LookOnce();
  } while (!ports_.clock->Sleep(absl::Milliseconds(kLeaseLookMillis), stop_));
}

void LeaseKeeper::LookOnce() {
  NoteSilence();
  if (!ports_.has_self_fencing()) return;
  SelfFence::Step step;
  {
    absl::MutexLock lock(&mu_);
    step = fence_.Next(ports_.clock->Monotonic());
  }
  switch (step.action) {
    case SelfFence::Action::kNone: return;
    case SelfFence::Action::kAskPeers: Ask(step.ask_timeout); break;
    case SelfFence::Action::kFence:
      LogError("lease", "no lease and no majority: workloads with fail-over are stopped here");
      ports_.event("node.self_fenced",
                   "no lease and no majority: workloads with fail-over were stopped here");
      break;
  }
  Apply();
}

// Tells the workloads that wait for the controller's word when none came.
void LeaseKeeper::NoteSilence() {
  {
    absl::MutexLock lock(&mu_);
    if (had_its_say_ || !fence_.controller_had_its_say(ports_.clock->Monotonic())) return;
  }
  Apply();
}

void LeaseKeeper::Ask(absl::Duration timeout) {
  const absl::Duration asked = ports_.clock->Monotonic();
  const Vote vote = ports_.ask_peers(timeout);
  LogWarning(
      "lease", "no lease; peers were asked whether they reach the controller",
      {{"peers", vote.peers},
       {"without_lease", vote.without_lease},
       {"verdict", ControllerIsDown(vote) ? "controller down, keep running" : "no majority"}});
  // It may have come back just now, to the peers first: no workload is to stop for a wait between
  // two attempts to reach it.
  if (!ControllerIsDown(vote)) ports_.controller_is_up();
  {
    absl::MutexLock lock(&mu_);
    fence_.Voted(asked, vote, lease_.length());
  }
  // A right to run on is applied without a wait: the guards act at the deadline they have.
  if (!ControllerIsDown(vote)) ports_.clock->Sleep(absl::Milliseconds(kVoteAgainMillis), stop_);
}

void LeaseKeeper::Apply() {
  absl::MutexLock apply(&apply_mu_);
  FenceState state;
  {
    absl::MutexLock lock(&mu_);
    state.deadline = fence_.deadline();
    state.fenced = fence_.fenced();
    state.gate_open = fence_.gate_open();
    had_its_say_ = fence_.controller_had_its_say(ports_.clock->Monotonic());
    state.controller_had_its_say = had_its_say_;
  }
  ports_.apply(state);
}

}  // namespace ember::agent
