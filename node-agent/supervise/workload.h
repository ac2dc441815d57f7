// One workload on this node: kept running, looked at, reported.
#ifndef EMBER_NODE_AGENT_SUPERVISE_WORKLOAD_H_
#define EMBER_NODE_AGENT_SUPERVISE_WORKLOAD_H_

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "ember/record/v1/agent_state.pb.h"
#include "node-agent/service/service.h"
#include "node-agent/supervise/decide.h"
#include "node-agent/supervise/environment.h"

namespace ember::agent {

// Two threads: one keeps the service as it should be, one probes; so that a slow probe delays no
// restart. The service outlives this object. Safe for concurrent use.
class Workload {
 public:
  Workload(const Environment* environment, record::v1::AgentWorkload record);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // Nothing is done before Run. Again: nothing more.
  void Run();
  // Ends the threads soon; the destructor waits for them.
  void Stop();

  // --- the controller's wishes; none of these block on the service ---
  // `epoch_current`: no higher placement was ever seen. FAILED_PRECONDITION: Gone; a new object is
  // needed.
  absl::Status Assign(const v1::Assignment& assignment, bool epoch_current);
  // Not assigned any more: stopped, then Gone.
  absl::Status Retire();
  bool Gone() const;
  void SetFence(const FenceState& fence);
  // An in-place restore is to come.
  void BeginRestore();
  // It is over; `stay_stopped` until a Start.
  void EndRestore(bool stay_stopped);
  // Does it fence itself, and is there anything to fence?
  bool self_fence() const;
  // It runs on, kWatchdogGraceSeconds after it had to be stopped.
  bool IsFenceOverdue() const;
  v1::WorkloadFact Fact() const;

  // --- orders; these wait for the service ---
  // FAILED_PRECONDITION: data is missing, a restore is under way, not assigned. UNAVAILABLE: waits
  // for the controller.
  absl::Status Start(uint64_t epoch, bool fresh);
  // Stays stopped until a Start or a changed assignment.
  absl::Status StopService();

 private:
  struct Seen {
    ServiceStatus service;
    absl::Status open = absl::OkStatus();  // could the service be opened and asked
    absl::Status data = absl::OkStatus();
    int64_t free_bytes = 0;
  };
  struct Health {
    uint64_t start = 0;  // the start these probes belong to
    bool probed = false;
    bool healthy = false;
    int failures = 0;
    std::string message;
  };

  void Keep();
  void KeepOnce();
  void ProbeLoop();
  void ProbeOnce();
  absl::Duration ProbeEvery() const;
  absl::Duration ProbeEveryLocked() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  int FailureLimit() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // For as long as anything else must fail before it counts: whoever replaces all data empties the
  // directory for a moment.
  bool DataStaysAway() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  absl::Status DoAssign(const v1::Assignment& assignment, bool epoch_current)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetDeadlineOf(Service* service, absl::Duration deadline);
  absl::Status Save() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Opened when needed; reopened, after a stop, when the service is defined differently now.
  absl::StatusOr<std::shared_ptr<Service>> OpenedService() ABSL_EXCLUSIVE_LOCKS_REQUIRED(act_mu_);
  void Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(act_mu_);
  void Note(const Seen& seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteExit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Situation SituationNow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Waits() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status MayStart() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status StillWanted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It may not run: fenced, or its deadline has passed, upon which its guard acts at once and the
  // verdict may follow later.
  bool IsFenced() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status DoStart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(act_mu_);
  absl::Status DoStop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(act_mu_);
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WantRun() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasService() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  const v1::WorkloadSpec& spec() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return record_.assignment().spec();
  }

  const Environment* const environment_;
  const std::string name_;

  absl::Mutex act_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // one start or stop at a time
  mutable absl::Mutex mu_;
  record::v1::AgentWorkload record_ ABSL_GUARDED_BY(mu_);
  v1::ServiceSpec opened_spec_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Service> service_ ABSL_GUARDED_BY(mu_);
  bool epoch_current_ ABSL_GUARDED_BY(mu_) = true;
  bool starting_ ABSL_GUARDED_BY(mu_) = false;
  bool restoring_ ABSL_GUARDED_BY(mu_) = false;
  FenceState fence_ ABSL_GUARDED_BY(mu_);
  Seen seen_ ABSL_GUARDED_BY(mu_);
  absl::Duration data_away_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  bool data_lost_told_ ABSL_GUARDED_BY(mu_) = false;
  bool looked_ ABSL_GUARDED_BY(mu_) = false;
  bool expected_up_ ABSL_GUARDED_BY(mu_) = false;  // it ran, and nobody here stopped it
  std::deque<absl::Duration> exits_ ABSL_GUARDED_BY(mu_);
  absl::Duration restart_not_before_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  bool exhausted_ ABSL_GUARDED_BY(mu_) = false;
  Health health_ ABSL_GUARDED_BY(mu_);
  bool gone_ ABSL_GUARDED_BY(mu_) = false;

  absl::Notification stop_;
  absl::Mutex stop_mu_;
  std::thread keeper_;
  std::thread prober_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_WORKLOAD_H_
