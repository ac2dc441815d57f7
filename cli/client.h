// The EM as a verb sees it: one call, one answer, one deadline.
#ifndef EMBER_CLI_CLIENT_H_
#define EMBER_CLI_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/context.h"
#include "ember/v1/control.grpc.pb.h"
#include "ember/v1/control.pb.h"

namespace ember::cli {

// For `client.Call(&Fleet::GetNode, request)`.
using Estate = v1::EstateService::Stub;
using Fleet = v1::FleetService::Stub;
using Protection = v1::ProtectionService::Stub;
using Recoveries = v1::RecoveryService::Stub;
using Events = v1::EventService::Stub;
using Messages = v1::MessageService::Stub;

// Used by one thread.
class Client {
 public:
  // Finds address and identity: option, environment, ~/.config/ember, /etc/ember, the first that
  // names one. Does not talk to the EM yet; an
  // identity that runs out soon is renewed with the first call. `context` must outlive the client.
  // INVALID_ARGUMENT: no address known. UNAUTHENTICATED: no
  // identity found.
  static absl::StatusOr<Client> Connect(const Context& context);

  // The same for the agent that serves as `place` (NODE@HOST:PORT), which answers
  // MessageService::Send alone. INVALID_ARGUMENT: it is not of that form.
  static absl::StatusOr<Client> ConnectToAgent(const Context& context, const std::string& place);

  // The directory of the identity that Connect shows. UNAUTHENTICATED: none found.
  static absl::StatusOr<std::string> FindIdentity(const Context& context);

  // UNAVAILABLE when the EM does not answer within --timeout, plus `extra` for calls that it holds
  // back on purpose. The calls after that wait for a new connection: gRPC gets on with connecting
  // only while a call is under way, so that calls which fail at once, with pauses between them, may
  // never see it.
  template <typename Stub, typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Reply*),
                             const Request& request, absl::Duration extra = absl::ZeroDuration()) {
    grpc::ClientContext call;
    Prepare(call, extra);
    Reply reply;
    const grpc::Status status =
        (std::get<std::unique_ptr<Stub>>(stubs_).get()->*method)(&call, request, &reply);
    lost_ = !status.ok() && IsSilence(status);
    if (!status.ok()) return Failure(status);
    // The EM answers, so that asking it for more costs nobody a second --timeout.
    if (const auto renew = std::exchange(renew_, nullptr)) renew(*this);
    return reply;
  }

  const std::string& address() const { return address_; }

 private:
  // With a line on `err` when it fails: the next invocation tries again.
  void Renew(const Context& context, const std::string& identity);

  Client(std::string address, absl::Duration timeout,
         const std::shared_ptr<grpc::Channel>& channel);
  void Prepare(grpc::ClientContext& call, absl::Duration extra) const;
  static bool IsSilence(const grpc::Status& status);
  absl::Status Failure(const grpc::Status& status) const;

  std::string address_;
  absl::Duration timeout_;
  bool lost_ = false;  // the last call found no EM
  std::tuple<std::unique_ptr<Estate>, std::unique_ptr<Fleet>, std::unique_ptr<Protection>,
             std::unique_ptr<Recoveries>, std::unique_ptr<Events>, std::unique_ptr<Messages>>
      stubs_;
  std::function<void(Client&)> renew_;  // once, when the identity runs out soon
};

// The real Dialler: mutual TLS.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const std::string& address,
                                                    const std::string& identity_directory,
                                                    const std::string& agent);

// The backup that `text` stands for: an id, a name, WORKLOAD@latest, ... "latest" and prefixes are
// asked for once, so that they do not change between two calls.
absl::StatusOr<v1::Backup> FindBackup(Client& client, const std::string& text);

}  // namespace ember::cli

#endif  // EMBER_CLI_CLIENT_H_
