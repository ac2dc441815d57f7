// All workloads of this node.
#ifndef EMBER_NODE_AGENT_SUPERVISE_SUPERVISOR_H_
#define EMBER_NODE_AGENT_SUPERVISE_SUPERVISOR_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/orders/epochs.h"
#include "node-agent/supervise/environment.h"
#include "node-agent/supervise/workload.h"

namespace ember::agent {

// Desired state in, facts out. Workloads run on when this object goes. Safe for concurrent use.
class Supervisor {
 public:
  // `epochs` must outlive it. Nothing is started before Apply.
  Supervisor(Environment environment, Epochs* epochs);
  ~Supervisor();

  // Makes `assignments` the workloads of this node: new ones are looked after, others updated,
  // absent ones stopped and forgotten. What ran here before under an earlier agent is adopted.
  // Returns what could not be taken (a bad name, more than kWorkloadsPerAgentMax), naming the
  // workload; the rest is in force.
  std::vector<absl::Status> Apply(
      const google::protobuf::RepeatedPtrField<v1::Assignment>& assignments);

  std::vector<v1::WorkloadFact> Facts();
  void SetFence(const FenceState& fence);
  bool HasSelfFencing() const;
  // One that fences itself runs on, kWatchdogGraceSeconds after it had to be stopped.
  bool IsFenceOverdue() const;

  // Orders; they wait for the service. NOT_FOUND: no such workload here, and the order does not
  // describe it.
  absl::Status Start(const std::string& workload, uint64_t epoch, const v1::StartOrder& order);
  absl::Status Stop(const std::string& workload);
  // An in-place restore is to come: no start from now on, also for a workload that is assigned only
  // later.
  void Suspend(const std::string& workload);
  // The restore begins: the service is down when OK. Not here: OK.
  absl::Status StopForRestore(const std::string& workload);
  // Over. `stay_stopped` until a START order: the restore was begun.
  void Resume(const std::string& workload, bool stay_stopped);

 private:
  using Workloads = std::map<std::string, std::shared_ptr<Workload>>;

  std::shared_ptr<Workload> Find(const std::string& workload) const;
  absl::Status Take(const v1::Assignment& assignment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<Workload> Add(record::v1::AgentWorkload record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AdoptOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropGone();

  const Environment environment_;
  Epochs* const epochs_;
  mutable absl::Mutex mu_;
  bool adopted_ ABSL_GUARDED_BY(mu_) = false;
  Workloads workloads_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> restoring_ ABSL_GUARDED_BY(mu_);
  FenceState fence_ ABSL_GUARDED_BY(mu_);
};

// Stops every service recorded below `environment.directory`: what `ember-agent down` does. Returns
// the names of what was stopped; an error names what would not stop, after all were tried.
absl::StatusOr<std::vector<std::string>> StopAll(const Environment& environment);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_SUPERVISOR_H_
