// The one channel to the controller, and who this agent is on it.
#ifndef EMBER_NODE_AGENT_LINK_EM_CHANNEL_H_
#define EMBER_NODE_AGENT_LINK_EM_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/rpc/identity.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace ember::agent {

// Gives `context` this long from now, whatever the wall clock does meanwhile.
void SetTimeout(grpc::ClientContext* context, absl::Duration timeout);

// Safe for concurrent use.
class EmChannel {
 public:
  // Reads the identity. FAILED_PRECONDITION when there is none.
  static absl::StatusOr<std::unique_ptr<EmChannel>> Open(std::string address,
                                                         std::string identity_directory,
                                                         Clock* clock);

  std::shared_ptr<grpc::Channel> channel() const;
  // Waits no longer before the next attempt to connect. Never blocks.
  void DialNow();
  // Leaves the connection there is: calls after this make one of their own. Never blocks.
  void DialAnew();
  rpc::Identity identity() const;
  const std::string& address() const { return address_; }
  // The name in the certificate.
  std::string node() const;
  // By this machine's clock: whoever is refused with an expired certificate is refused for that.
  bool HasExpired() const;

  // Reads the identity again and dials anew.
  absl::Status Reload();
  // Asks for a new certificate when fewer than kRenewBeforeDays remain; after a failure not again
  // for kRenewRetryMinutes. OK when there is nothing to do.
  absl::Status RenewIfDue();

 private:
  EmChannel(std::string address, std::string identity_directory, Clock* clock)
      : address_(std::move(address)),
        identity_directory_(std::move(identity_directory)),
        clock_(clock) {}
  absl::Status Renew();

  const std::string address_;
  const std::string identity_directory_;
  Clock* const clock_;
  mutable absl::Mutex mu_;
  rpc::Identity identity_ ABSL_GUARDED_BY(mu_);
  std::string node_ ABSL_GUARDED_BY(mu_);
  absl::Time not_after_ ABSL_GUARDED_BY(mu_);
  absl::Time renew_not_before_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_EM_CHANNEL_H_
