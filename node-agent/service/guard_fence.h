// The last resort of a guard: stops everything at the deadline even while the guard's own thread
// waits for a disk.
#ifndef EMBER_NODE_AGENT_SERVICE_GUARD_FENCE_H_
#define EMBER_NODE_AGENT_SERVICE_GUARD_FENCE_H_

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ember::agent {

// A thread that touches no file but /proc. Safe for concurrent use.
class GuardFence {
 public:
  // At the deadline, descendants of this process get TERM unless Stopping() was said, and
  // `patience` later KILL, until there are none. No deadline until SetDeadline.
  explicit GuardFence(absl::Duration patience);
  ~GuardFence();
  GuardFence(const GuardFence&) = delete;
  GuardFence& operator=(const GuardFence&) = delete;

  void SetDeadline(absl::Duration deadline);
  // The guard's own thread has sent TERM.
  void Stopping();

 private:
  void Watch();
  // False when the fence is not needed any more.
  bool AwaitPassed(absl::Duration extra);

  const absl::Duration patience_;
  absl::Mutex mu_;
  absl::Duration deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  bool passed_ ABSL_GUARDED_BY(mu_) = false;  // for good: what is stopped half is not let go on
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_GUARD_FENCE_H_
