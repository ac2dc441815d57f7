// Looks whether silent nodes can be reached from here, for as long as the controller asks.
#ifndef EMBER_NODE_AGENT_LINK_LOOKOUT_H_
#define EMBER_NODE_AGENT_LINK_LOOKOUT_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// Has a thread of its own, so that no beat waits for a node that does not answer. Safe for
// concurrent use.
class Lookout {
 public:
  using Reach = std::function<std::map<std::string, absl::Status>(const std::set<std::string>&,
                                                                  absl::Duration timeout)>;
  Lookout(Clock* clock, Reach reach);
  ~Lookout();

  void Run();
  void Stop();
  // Of these, and of no others. Never blocks.
  void Want(std::set<std::string> nodes);
  // Of those wanted, what was seen last; nothing of those not looked at yet.
  std::vector<v1::PeerSight> Sights() const;

 private:
  void Loop();

  Clock* const clock_;
  const Reach reach_;
  mutable absl::Mutex mu_;
  std::set<std::string> wanted_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::PeerSight> sights_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_LOOKOUT_H_
