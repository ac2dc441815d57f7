// The two threads of a workload.
#include <algorithm>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "node-agent/supervise/workload.h"

namespace ember::agent {

// --- keeping
// -------------------------------------------------------------------------------------------------------

void Workload::Keep() {
  while (true) {
    KeepOnce();
    const absl::Duration pause =
        std::min(ProbeEvery() / 2, absl::Milliseconds(kSuperviseMillisMax));
    if (Gone() || environment_->clock->Sleep(pause, stop_)) return;
  }
}

Situation Workload::SituationNow() {
  const v1::ServiceSpec& service = spec().service();
  const absl::Duration now = environment_->clock->Monotonic();
  const int64_t window = service.restart_window_seconds() > 0 ? service.restart_window_seconds()
                                                              : kRestartWindowSeconds;
  while (!exits_.empty() && exits_.front() < now - absl::Seconds(window)) exits_.pop_front();
  Situation situation;
  situation.has_service = HasService();
  situation.want_run = WantRun();
  situation.epoch_current = epoch_current_;
  situation.restoring = restoring_;
  situation.data_lost = absl::IsNotFound(seen_.data);
  situation.fenced = IsFenced();
  situation.waits = Waits();
  situation.running = seen_.service.running;
  situation.restarts = static_cast<int>(exits_.size());
  situation.restart_limit = service.restart_limit() > 0 ? service.restart_limit() : kRestartLimit;
  situation.exhausted = exhausted_;
  situation.restart_due = now >= restart_not_before_;
  return situation;
}

void Workload::KeepOnce() {
  absl::MutexLock act(&act_mu_);
  Look();
  Decision decision = Decision::kNothing;
  {
    absl::MutexLock lock(&mu_);
    const bool known = seen_.open.ok();  // never start what may be running
    if (known) decision = Decide(SituationNow());
    // A kind that cannot be opened here cannot be running here either.
    const bool impossible = absl::IsInvalidArgument(seen_.open);
    if (record_.retired() && (impossible || !HasService() || (known && !seen_.service.running)))
      gone_ = true;
    if (decision == Decision::kGiveUp) GiveUp();
  }
  absl::Status done = absl::OkStatus();
  if (decision == Decision::kStart) done = DoStart();
  if (decision == Decision::kStop) done = DoStop();
  if (!done.ok()) {
    LogWarning("supervise",
               decision == Decision::kStart ? "it cannot be started" : "it cannot be stopped",
               {{"workload", name_}, {"error", done.ToString()}});
  }
}

// --- probing
// ---------------------------------------------------------------------------------------------------------

absl::Duration Workload::ProbeEvery() const {
  absl::MutexLock lock(&mu_);
  return ProbeEveryLocked();
}

absl::Duration Workload::ProbeEveryLocked() const {
  const int64_t every = spec().health().every_millis();
  return absl::Milliseconds(every > 0 ? std::max(every, kProbeEveryMillisMin) : kProbeEveryMillis);
}

int Workload::FailureLimit() const {
  return spec().health().failures() > 0 ? spec().health().failures() : kProbeFailures;
}

bool Workload::DataStaysAway() const {
  if (!absl::IsNotFound(seen_.data)) return false;
  const absl::Duration away = environment_->clock->Monotonic() - data_away_since_;
  return health_.failures >= FailureLimit() || away >= ProbeEveryLocked() * FailureLimit();
}

void Workload::ProbeLoop() {
  while (!environment_->clock->Sleep(ProbeEvery(), stop_)) {
    if (Gone()) return;
    ProbeOnce();
  }
}

void Workload::ProbeOnce() {
  v1::Assignment assignment;
  std::shared_ptr<Service> service;
  uint64_t start = 0;
  {
    absl::MutexLock lock(&mu_);
    const bool waits = Waits() && !seen_.service.running;
    if (!WantRun() || restoring_ || waits || !looked_ || service_ == nullptr) return;
    assignment = record_.assignment();
    service = service_;
    start = health_.start;
  }
  absl::Status result =
      assignment.expect_data() ? environment_->check_data(assignment.spec()) : absl::OkStatus();
  if (result.ok()) result = environment_->probe(assignment.spec(), service.get());

  absl::MutexLock lock(&mu_);
  // A probe of what was meanwhile stopped or started anew says nothing about what runs now.
  if (start != health_.start || !WantRun() || restoring_) return;
  const int limit = FailureLimit();
  const bool was_dead = health_.failures >= limit;
  const bool first = !health_.probed;
  health_.probed = true;
  health_.healthy = result.ok();
  health_.message = std::string(result.message());
  health_.failures = result.ok() ? 0 : health_.failures + 1;
  const bool crossed = health_.failures == limit || (result.ok() && (was_dead || first));
  if (health_.failures == 1 || crossed) {
    LogInfo("supervise", result.ok() ? "healthy" : "a probe failed",
            {{"workload", name_}, {"failures", health_.failures}, {"why", health_.message}});
  }
  if (crossed) environment_->urgent();
}

}  // namespace ember::agent
