#include "node-agent/supervise/workload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "node-agent/supervise/record.h"

namespace ember::agent {

Workload::Workload(const Environment* environment, record::v1::AgentWorkload record)
    : environment_(environment),
      name_(record.assignment().spec().name()),
      record_(std::move(record)) {}

Workload::~Workload() {
  Stop();
  if (keeper_.joinable()) keeper_.join();
  if (prober_.joinable()) prober_.join();
}

void Workload::Run() {
  if (keeper_.joinable()) return;
  keeper_ = std::thread([this] { Keep(); });
  prober_ = std::thread([this] { ProbeLoop(); });
}

void Workload::Stop() {
  absl::MutexLock lock(&stop_mu_);
  if (!stop_.HasBeenNotified()) stop_.Notify();
}

absl::Status Workload::Save() { return SaveRecord(environment_->directory, record_); }

bool Workload::HasService() const { return !spec().service().has_none(); }

bool Workload::WantRun() const { return !record_.stopped() && !record_.retired(); }

// --- wishes
// --------------------------------------------------------------------------------------------------------

absl::Status Workload::Assign(const v1::Assignment& assignment, bool epoch_current) {
  std::shared_ptr<Service> freed;  // fences itself no longer
  absl::Status saved = absl::OkStatus();
  {
    absl::MutexLock lock(&mu_);
    if (record_.assignment().self_fence() && !assignment.self_fence()) freed = service_;
    saved = DoAssign(assignment, epoch_current);
  }
  SetDeadlineOf(freed.get(), absl::InfiniteDuration());
  return saved;
}

absl::Status Workload::DoAssign(const v1::Assignment& assignment, bool epoch_current) {
  if (gone_) return absl::FailedPreconditionError("it has left this node");
  record::v1::AgentWorkload next = Reassign(record_, assignment);
  const bool again = record_.retired() ||
                     record_.assignment().epoch() != next.assignment().epoch() ||
                     record_.assignment().run() != next.assignment().run() ||
                     !SameService(spec().service(), next.assignment().spec().service());
  if (again) {
    exhausted_ = false;
    exits_.clear();
  }
  record_ = std::move(next);
  epoch_current_ = epoch_current;
  return Save();
}

absl::Status Workload::Retire() {
  absl::MutexLock lock(&mu_);
  if (record_.retired()) return absl::OkStatus();
  record_.set_retired(true);
  return Save();
}

bool Workload::Gone() const {
  absl::MutexLock lock(&mu_);
  return gone_;
}

void Workload::SetFence(const FenceState& fence) {
  std::shared_ptr<Service> service;
  absl::Duration deadline = absl::InfiniteDuration();
  {
    absl::MutexLock lock(&mu_);
    const bool fenced_now = fence.fenced && !fence_.fenced;
    const bool moved = fence.deadline.has_value() && fence.deadline != fence_.deadline;
    fence_ = fence;
    if (!record_.assignment().self_fence() || (!fenced_now && !moved)) return;
    if (starting_ && !fenced_now) return;  // it gets it when it is started
    service = service_;
    deadline = fenced_now ? environment_->clock->Monotonic() : *fence.deadline;
  }
  SetDeadlineOf(service.get(), deadline);
}

void Workload::BeginRestore() {
  absl::MutexLock lock(&mu_);
  restoring_ = true;
}

void Workload::EndRestore(bool stay_stopped) {
  absl::MutexLock lock(&mu_);
  restoring_ = false;
  if (!stay_stopped) return;
  record_.set_stopped(true);
  if (const absl::Status saved = Save(); !saved.ok()) {
    LogError("supervise", "the record cannot be written",
             {{"workload", name_}, {"error", saved.ToString()}});
  }
}

bool Workload::self_fence() const {
  absl::MutexLock lock(&mu_);
  return record_.assignment().self_fence() && (WantRun() || seen_.service.running);
}

bool Workload::IsFenceOverdue() const {
  absl::MutexLock lock(&mu_);
  return record_.assignment().self_fence() && seen_.service.running && fence_.deadline &&
         environment_->clock->Monotonic() > *fence_.deadline + absl::Seconds(kWatchdogGraceSeconds);
}

v1::WorkloadFact Workload::Fact() const {
  absl::MutexLock lock(&mu_);
  v1::WorkloadFact fact;
  fact.set_workload(name_);
  fact.set_epoch(record_.assignment().epoch());
  fact.set_running(HasService() ? seen_.service.running : WantRun());
  fact.set_held(!WantRun());
  fact.set_data_missing(DataStaysAway());
  fact.set_restarts_exhausted(exhausted_);
  fact.set_consecutive_failures(health_.failures);
  fact.set_healthy(fact.running() && health_.probed && health_.healthy);
  fact.set_probed(health_.probed);
  fact.set_probe_message(seen_.open.ok() ? health_.message : std::string(seen_.open.message()));
  fact.set_has_exit(seen_.service.has_exit);
  fact.set_exit_status(seen_.service.exit_status);
  // The exit that exhausted them was not followed by a restart.
  fact.set_restarts(static_cast<int32_t>(exits_.size()) - (exhausted_ ? 1 : 0));
  fact.set_pid(seen_.service.pid);
  fact.set_free_bytes(seen_.free_bytes);
  // Whether an application that beats by itself fails, only the controller knows.
  const bool beats = record_.assignment().spec().health().heartbeat_millis() > 0;
  const bool failing =
      health_.failures > 0 || exhausted_ || beats || (WantRun() && seen_.service.has_exit);
  if (failing) {
    for (const std::string& line : seen_.service.log_tail) fact.add_log_tail(line);
  }
  return fact;
}

// --- orders
// ----------------------------------------------------------------------------------------------------------

bool Workload::Waits() const {
  return WaitsForController(spec(), record_.assignment().self_fence(), fence_.gate_open,
                            fence_.controller_had_its_say);
}

absl::Status Workload::MayStart() const {
  if (record_.retired()) {
    return absl::FailedPreconditionError(
        absl::StrCat("workload '", name_, "' is not assigned to this node"));
  }
  if (restoring_) {
    return absl::FailedPreconditionError(
        absl::StrCat("workload '", name_, "': a restore is under way"));
  }
  if (absl::IsNotFound(seen_.data)) {
    return absl::FailedPreconditionError(
        absl::StrCat("workload '", name_, "' is not started: ", seen_.data.message()));
  }
  if (Waits()) {
    return absl::UnavailableError(
        absl::StrCat("workload '", name_, "' waits for a word of the controller"));
  }
  return absl::OkStatus();
}

absl::Status Workload::Start(uint64_t epoch, bool fresh) {
  absl::MutexLock act(&act_mu_);
  Look();
  {
    absl::MutexLock lock(&mu_);
    EMBER_RETURN_IF_ERROR(MayStart());
    record_.set_stopped(false);
    record_.mutable_assignment()->set_epoch(std::max(epoch, record_.assignment().epoch()));
    EMBER_RETURN_IF_ERROR(Save());
    epoch_current_ = true;
    exhausted_ = false;
    exits_.clear();
    if (!HasService()) {
      health_ = Health{.start = health_.start + 1};
      return absl::OkStatus();
    }
    if (seen_.service.running && !fresh) return absl::OkStatus();
  }
  if (fresh) EMBER_RETURN_IF_ERROR(DoStop());
  return DoStart();
}

absl::Status Workload::StopService() {
  absl::MutexLock act(&act_mu_);
  {
    absl::MutexLock lock(&mu_);
    record_.set_stopped(true);
    EMBER_RETURN_IF_ERROR(Save());
    if (!HasService()) return absl::OkStatus();
  }
  return DoStop();
}

// --- acting
// ----------------------------------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<Service>> Workload::OpenedService() {
  std::shared_ptr<Service> old;
  v1::WorkloadSpec wanted;
  {
    absl::MutexLock lock(&mu_);
    if (service_ != nullptr && SameService(opened_spec_, spec().service())) return service_;
    old = service_;
    wanted = spec();
  }
  if (old != nullptr) {
    LogInfo("supervise", "the service is defined differently now", {{"workload", name_}});
    EMBER_RETURN_IF_ERROR(old->Stop());
  }
  EMBER_ASSIGN_OR_RETURN(
      std::shared_ptr<Service> service,
      environment_->open_service(wanted, ServiceDirectory(environment_->directory, name_)));
  absl::Duration deadline = absl::InfiniteDuration();
  bool known = true;
  {
    absl::MutexLock lock(&mu_);
    service_ = service;
    opened_spec_ = wanted.service();
    if (old != nullptr) expected_up_ = false;
    if (record_.assignment().self_fence()) {
      known = fence_.deadline.has_value();
      deadline = fence_.deadline.value_or(deadline);
    }
  }
  // Not known yet: what an earlier agent set still holds.
  if (known) SetDeadlineOf(service.get(), deadline);
  return service;
}

void Workload::SetDeadlineOf(Service* service, absl::Duration deadline) {
  if (service == nullptr) return;
  if (const absl::Status set = service->SetDeadline(deadline); !set.ok()) {
    LogWarning("supervise", "the deadline cannot be set",
               {{"workload", name_}, {"error", set.ToString()}});
  }
}

bool Workload::IsFenced() const {
  const bool over =
      fence_.deadline.has_value() && environment_->clock->Monotonic() >= *fence_.deadline;
  return record_.assignment().self_fence() && (fence_.fenced || over);
}

// Decided upon some time ago, and it takes some: meanwhile it may have been placed elsewhere.
absl::Status Workload::StillWanted() const {
  if (WantRun() && epoch_current_ && !restoring_ && !IsFenced() && !Waits())
    return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("workload '", name_, "' is not to run here any more: it is not started"));
}

// The right to run and the deadline that goes with it are read in one. Whatever withdraws that
// right is in force before the lease that came with it, so that a start which was overtaken has a
// deadline of the past, and is refused; a newer one is given to it only when it is started, and
// still wanted.
absl::Status Workload::DoStart() {
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Service> service, OpenedService());
  bool self_fence = false;
  absl::Duration deadline = absl::InfiniteDuration();
  {
    absl::MutexLock lock(&mu_);
    EMBER_RETURN_IF_ERROR(StillWanted());
    self_fence = record_.assignment().self_fence();
    if (self_fence && fence_.deadline.has_value()) deadline = *fence_.deadline;
    starting_ = true;
  }
  absl::Status started = self_fence ? service->SetDeadline(deadline) : absl::OkStatus();
  if (started.ok()) started = service->Start();
  absl::Duration newest = deadline;
  {
    absl::MutexLock lock(&mu_);
    starting_ = false;
    const absl::Status wanted = StillWanted();
    if (started.ok() && !wanted.ok()) {
      started = wanted;
    } else if (fence_.deadline.has_value()) {
      newest = *fence_.deadline;
    }
  }
  if (absl::IsAborted(started)) {
    EMBER_RETURN_IF_ERROR(service->Stop());
  } else if (started.ok() && self_fence && newest != deadline) {
    SetDeadlineOf(service.get(), newest);
  }
  const absl::StatusOr<ServiceStatus> status = started.ok() ? service->Status() : started;
  absl::MutexLock lock(&mu_);
  health_ = Health{.start = health_.start + 1};
  expected_up_ = started.ok();
  seen_.service = status.ok() ? *status : ServiceStatus{.running = started.ok()};
  if (started.ok()) {
    LogInfo("supervise", "started", {{"workload", name_}, {"epoch", record_.assignment().epoch()}});
  } else {
    health_.message = std::string(started.message());
    if (!absl::IsAborted(started)) NoteExit();
  }
  return started;
}

absl::Status Workload::DoStop() {
  {
    absl::MutexLock lock(&mu_);
    expected_up_ = false;
  }
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Service> service, OpenedService());
  EMBER_RETURN_IF_ERROR(service->Stop());
  absl::MutexLock lock(&mu_);
  if (seen_.service.running) LogInfo("supervise", "stopped", {{"workload", name_}});
  seen_.service.running = false;
  seen_.service.pid = 0;
  health_ = Health{.start = health_.start + 1};
  return absl::OkStatus();
}

void Workload::GiveUp() {
  exhausted_ = true;
  LogError("supervise", "restarted too often; left to the controller",
           {{"workload", name_}, {"exits", exits_.size()}});
  environment_->urgent();
}

// --- looking
// -------------------------------------------------------------------------------------------------------

void Workload::Look() {
  Seen seen;
  v1::Assignment assignment;
  {
    absl::MutexLock lock(&mu_);
    assignment = record_.assignment();
  }
  absl::StatusOr<std::shared_ptr<Service>> service = OpenedService();
  absl::StatusOr<ServiceStatus> status = service.ok() ? (*service)->Status() : service.status();
  if (status.ok()) {
    seen.service = *std::move(status);
  } else {
    seen.open = status.status();
  }
  if (assignment.expect_data()) seen.data = environment_->check_data(assignment.spec());
  seen.free_bytes = environment_->free_bytes(assignment.spec());
  absl::MutexLock lock(&mu_);
  Note(seen);
}

void Workload::Note(const Seen& seen) {
  const bool data_went = absl::IsNotFound(seen.data) && !absl::IsNotFound(seen_.data);
  if (data_went) data_away_since_ = environment_->clock->Monotonic();
  const bool open_failed = !seen.open.ok() && (seen_.open.ok() || !looked_);
  if (!seen.open.ok()) {
    // Not knowing is not an exit: keep what was seen last.
    seen_.open = seen.open;
    seen_.data = seen.data;
    seen_.free_bytes = seen.free_bytes;
  } else {
    seen_ = seen;
  }
  looked_ = true;
  if (open_failed) {
    LogError("supervise", "the service cannot be asked",
             {{"workload", name_}, {"error", seen.open.ToString()}});
  }
  if (data_went) LogError("supervise", seen.data.message(), {{"workload", name_}});
  const bool stays_away = DataStaysAway();
  if (std::exchange(data_lost_told_, stays_away) != stays_away) environment_->urgent();
  if (!seen.open.ok()) return;
  if (seen_.service.running) {
    expected_up_ = true;
    return;
  }
  if (expected_up_) NoteExit();
}

void Workload::NoteExit() {
  expected_up_ = false;
  if (!WantRun() || restoring_) return;
  if (IsFenced()) {
    LogWarning("supervise", "stopped: this node has no lease", {{"workload", name_}});
    return;
  }
  const absl::Duration now = environment_->clock->Monotonic();
  restart_not_before_ =
      now + absl::Milliseconds(kRestartDelayMillis) * static_cast<int64_t>(exits_.size());
  exits_.push_back(now);
  LogWarning(
      "supervise", "the service ended",
      {{"workload", name_}, {"exit_status", seen_.service.exit_status}, {"recent", exits_.size()}});
  environment_->urgent();
}

}  // namespace ember::agent
