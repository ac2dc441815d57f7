#include "node-agent/supervise/supervisor.h"

#include <set>
#include <utility>

#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "node-agent/supervise/record.h"

namespace ember::agent {

Supervisor::Supervisor(Environment environment, Epochs* epochs)
    : environment_(std::move(environment)), epochs_(epochs) {}

Supervisor::~Supervisor() {
  absl::MutexLock lock(&mu_);
  for (auto& [name, workload] : workloads_) workload->Stop();
}

// --- assignments
// -----------------------------------------------------------------------------------------------------

std::vector<absl::Status> Supervisor::Apply(
    const google::protobuf::RepeatedPtrField<v1::Assignment>& assignments) {
  DropGone();
  std::vector<absl::Status> refused;
  std::set<std::string> assigned;
  absl::MutexLock lock(&mu_);
  AdoptOnce();
  for (const v1::Assignment& assignment : assignments) {
    assigned.insert(assignment.spec().name());
    if (const absl::Status taken = Take(assignment); !taken.ok()) {
      refused.push_back(Annotate(taken, absl::StrCat("workload '", assignment.spec().name(), "'")));
    }
  }
  for (auto& [name, workload] : workloads_) {
    const absl::Status retired = assigned.contains(name) ? absl::OkStatus() : workload->Retire();
    if (!retired.ok()) refused.push_back(Annotate(retired, absl::StrCat("workload '", name, "'")));
    workload->Run();
  }
  return refused;
}

// Records of earlier agents: whatever is not assigned any more must be found, to be stopped.
void Supervisor::AdoptOnce() {
  if (std::exchange(adopted_, true)) return;
  absl::StatusOr<std::vector<record::v1::AgentWorkload>> records =
      LoadRecords(environment_.directory);
  if (!records.ok()) {
    LogError("supervise", "the workload records cannot be read",
             {{"error", records.status().ToString()}});
    return;
  }
  for (record::v1::AgentWorkload& record : *records) Add(std::move(record));
}

std::shared_ptr<Workload> Supervisor::Add(record::v1::AgentWorkload record) {
  const std::string name = record.assignment().spec().name();
  auto workload = std::make_shared<Workload>(&environment_, std::move(record));
  workload->SetFence(fence_);
  if (restoring_.contains(name)) workload->BeginRestore();
  workloads_[name] = workload;
  return workload;
}

absl::Status Supervisor::Take(const v1::Assignment& assignment) {
  const std::string& name = assignment.spec().name();
  EMBER_RETURN_IF_ERROR(ValidateName("workload", name));
  const absl::Status epoch = epochs_->Raise(name, assignment.epoch());
  if (!epoch.ok() && !absl::IsAborted(epoch)) return epoch;
  if (const auto known = workloads_.find(name); known != workloads_.end()) {
    const absl::Status assigned = known->second->Assign(assignment, epoch.ok());
    if (assigned.ok()) return epoch;
    if (!absl::IsFailedPrecondition(assigned)) return assigned;
    workloads_.erase(known);  // it left a moment ago, and comes again
  }
  if (workloads_.size() >= kWorkloadsPerAgentMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this agent looks after at most ", kWorkloadsPerAgentMax));
  }
  EMBER_RETURN_IF_ERROR(Add(Reassign({}, assignment))->Assign(assignment, epoch.ok()));
  return epoch;
}

void Supervisor::DropGone() {
  std::vector<std::shared_ptr<Workload>> gone;  // their threads are joined outside the lock
  absl::MutexLock lock(&mu_);
  for (auto it = workloads_.begin(); it != workloads_.end();) {
    if (!it->second->Gone()) {
      ++it;
      continue;
    }
    if (const absl::Status removed = RemoveRecord(environment_.directory, it->first);
        !removed.ok()) {
      LogWarning("supervise", "a record stays",
                 {{"workload", it->first}, {"error", removed.ToString()}});
    }
    LogInfo("supervise", "no longer here", {{"workload", it->first}});
    gone.push_back(std::move(it->second));
    it = workloads_.erase(it);
  }
}

// --- facts
// -----------------------------------------------------------------------------------------------------------

std::vector<v1::WorkloadFact> Supervisor::Facts() {
  DropGone();
  absl::MutexLock lock(&mu_);
  std::vector<v1::WorkloadFact> facts;
  for (const auto& [name, workload] : workloads_) facts.push_back(workload->Fact());
  return facts;
}

void Supervisor::SetFence(const FenceState& fence) {
  absl::MutexLock lock(&mu_);
  fence_ = fence;
  for (auto& [name, workload] : workloads_) workload->SetFence(fence);
}

bool Supervisor::HasSelfFencing() const {
  absl::MutexLock lock(&mu_);
  for (const auto& [name, workload] : workloads_) {
    if (workload->self_fence()) return true;
  }
  return false;
}

bool Supervisor::IsFenceOverdue() const {
  absl::MutexLock lock(&mu_);
  for (const auto& [name, workload] : workloads_) {
    if (workload->IsFenceOverdue()) return true;
  }
  return false;
}

// --- orders
// ----------------------------------------------------------------------------------------------------------

std::shared_ptr<Workload> Supervisor::Find(const std::string& workload) const {
  absl::MutexLock lock(&mu_);
  const auto found = workloads_.find(workload);
  return found == workloads_.end() ? nullptr : found->second;
}

absl::Status Supervisor::Start(const std::string& name, uint64_t epoch,
                               const v1::StartOrder& order) {
  std::shared_ptr<Workload> workload = Find(name);
  if (workload == nullptr && order.spec().name() == name) {
    // The order came before the configuration that assigns it; that one will complete or withdraw
    // this.
    v1::Assignment assignment;
    *assignment.mutable_spec() = order.spec();
    assignment.set_epoch(epoch);
    assignment.set_run(v1::Assignment::RUN);
    absl::MutexLock lock(&mu_);
    EMBER_RETURN_IF_ERROR(Take(assignment));
    workload = workloads_.at(name);
    workload->Run();
  }
  if (workload == nullptr) return WorkloadNotFound(name);
  return workload->Start(epoch, order.fresh());
}

absl::Status Supervisor::Stop(const std::string& name) {
  const std::shared_ptr<Workload> workload = Find(name);
  return workload == nullptr ? absl::OkStatus() : workload->StopService();
}

void Supervisor::Suspend(const std::string& name) {
  absl::MutexLock lock(&mu_);
  ++restoring_[name];
  const auto found = workloads_.find(name);
  if (found != workloads_.end()) found->second->BeginRestore();
}

absl::Status Supervisor::StopForRestore(const std::string& name) { return Stop(name); }

void Supervisor::Resume(const std::string& name, bool stay_stopped) {
  absl::MutexLock lock(&mu_);
  const auto count = restoring_.find(name);
  if (count == restoring_.end() || --count->second > 0) return;
  restoring_.erase(count);
  const auto found = workloads_.find(name);
  if (found != workloads_.end()) found->second->EndRestore(stay_stopped);
}

absl::StatusOr<std::vector<std::string>> StopAll(const Environment& environment) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<record::v1::AgentWorkload> records,
                         LoadRecords(environment.directory));
  std::vector<std::string> stopped;
  absl::Status first = absl::OkStatus();
  for (const record::v1::AgentWorkload& record : records) {
    const v1::WorkloadSpec& spec = record.assignment().spec();
    if (spec.service().has_none()) continue;
    absl::StatusOr<std::unique_ptr<Service>> service =
        environment.open_service(spec, ServiceDirectory(environment.directory, spec.name()));
    const absl::Status done = service.ok() ? (*service)->Stop() : service.status();
    if (done.ok()) {
      stopped.push_back(spec.name());
    } else if (first.ok()) {
      first = Annotate(done, absl::StrCat("workload '", spec.name(), "' does not stop"));
    }
  }
  if (!first.ok()) return first;
  return stopped;
}

}  // namespace ember::agent
