// Keeps the lease and the self-fence verdict: the thread around link/self_fence.h.
#ifndef EMBER_NODE_AGENT_LINK_LEASE_KEEPER_H_
#define EMBER_NODE_AGENT_LINK_LEASE_KEEPER_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "node-agent/link/lease.h"
#include "node-agent/link/self_fence.h"
#include "node-agent/supervise/environment.h"

namespace ember::agent {

// Safe for concurrent use.
class LeaseKeeper {
 public:
  struct Ports {
    Clock* clock = nullptr;
    std::function<Vote(absl::Duration timeout)> ask_peers;
    std::function<bool()> has_self_fencing;  // else nobody needs to be asked
    std::function<void(const FenceState&)> apply;
    // Peers hold a lease, so the controller is up. Must not block.
    std::function<void()> controller_is_up;
    std::function<void(absl::string_view type, absl::string_view message)> event;
  };
  explicit LeaseKeeper(Ports ports);
  ~LeaseKeeper();

  void Run();
  // Ends the thread; deadlines stay as they are.
  void Stop();

  // The beat sent at `sent` was answered. What it changes is in force when this returns.
  void Granted(absl::Duration sent, absl::Duration length);
  // The controller does not know this node (any more). In force when this returns.
  void Refused();
  // A beat brought no reply.
  void Unanswered();
  bool HasLease() const;

 private:
  void Loop();
  void LookOnce();
  void NoteSilence();
  void Ask(absl::Duration timeout);
  void Apply();

  const Ports ports_;
  mutable absl::Mutex mu_;
  Lease lease_ ABSL_GUARDED_BY(mu_);
  SelfFence fence_ ABSL_GUARDED_BY(mu_);
  bool had_its_say_ ABSL_GUARDED_BY(mu_) = false;   // as it was applied last
  absl::Mutex apply_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // an older state never overwrites a newer one
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_LEASE_KEEPER_H_
