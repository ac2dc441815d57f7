// A gRPC server with mutual TLS 1.3 and one gate in front of every method.
#ifndef EMBER_COMMON_RPC_SERVER_H_
#define EMBER_COMMON_RPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/rpc/identity.h"

namespace grpc {
class Service;
class ServerContext;
class CallbackServerContext;
class ServerContextBase;
}  // namespace grpc

namespace ember::rpc {

// Told about a refused call, on gRPC's threads: must be quick and safe for concurrent use.
using RefusalReport = std::function<void(const Peer&, absl::string_view method, const absl::Status& why)>;

struct ServerOptions {
  std::string listen;              // HOST:PORT; port 0 picks one
  std::string identity_directory;  // read at start and again when its files change (a renewed certificate)
  Clock* clock = nullptr;
  int threads_max = 32;            // of the synchronous handlers
  // Says no to a certificate that is genuine but no longer welcome (revoked, superseded). May be empty.
  // Called on gRPC's threads; must be quick and safe for concurrent use.
  std::function<absl::Status(const Peer&)> admit;
  // About every refusal (no certificate, wrong CA, expired, revoked, wrong role). The peer's address is not known here;
  // its name and serial are only claimed, and its role is NONE, unless its certificate verified.
  RefusalReport refused;
};

// Serves `services` (not owned, must outlive it). A peer without a certificate reaches only the methods whose row has
// Role NONE; any certificate shown must verify against the identity's CA.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services);
  virtual ~Server() = default;
  virtual int port() const = 0;
  // Refuses new calls, gives running ones `grace`, then cancels them. Idempotent.
  virtual void Stop(absl::Duration grace) = 0;
};

// The caller, as the gate saw it.
Peer CallerOf(const grpc::ServerContextBase& context);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_SERVER_H_
