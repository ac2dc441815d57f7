// The heartbeat: one call always outstanding, facts up, orders down.
#ifndef EMBER_NODE_AGENT_LINK_LINK_H_
#define EMBER_NODE_AGENT_LINK_LINK_H_

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/link/em_channel.h"

namespace ember::agent {

// Safe for concurrent use.
class Link {
 public:
  struct Ports {
    Clock* clock = nullptr;
    EmChannel* em = nullptr;
    std::function<v1::HeartbeatRequest()> facts;
    // A reply to the beat sent at `sent` (Monotonic). Not OK: some of it could not be carried out.
    std::function<absl::Status(const v1::HeartbeatReply&, absl::Duration sent)> reply;
    // The controller does not know this node (any more); beats go on, because it may again.
    std::function<void()> refused;
    // A beat brought no reply.
    std::function<void()> unanswered;
    // Another live agent has this name. No beat follows.
    std::function<void()> duplicate;
    std::function<void()> renewed;  // there is a new certificate
  };
  explicit Link(Ports ports);
  ~Link();

  void Run();
  void Stop();
  // Sends a beat now; the one being held is given up. Never blocks.
  void Urge();
  // The controller seems to be up: what waits to try again tries now. Never blocks.
  void TryNow();

 private:
  void Loop();
  // OK, or why there was no reply. CANCELLED: given up for an urgent one.
  absl::Status Beat();
  void Note(const absl::Status& status);
  void WaitToTryAgain();
  void EndWait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Duration Backoff();
  void Handle(const v1::HeartbeatReply& reply, absl::Duration sent);

  const Ports ports_;
  absl::Mutex mu_;
  grpc::ClientContext* held_ ABSL_GUARDED_BY(mu_) = nullptr;
  absl::Duration held_since_ ABSL_GUARDED_BY(mu_);
  bool urgent_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<absl::Notification> waiting_ ABSL_GUARDED_BY(mu_);  // null: nothing waits
  // Of the thread only.
  bool connected_ = false;
  bool rejected_ = false;
  int failures_ = 0;
  absl::BitGen random_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_LINK_H_
