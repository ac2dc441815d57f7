// Dialling: mutual TLS 1.3 channels.
#ifndef EMBER_COMMON_RPC_CHANNEL_H_
#define EMBER_COMMON_RPC_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "common/rpc/identity.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace ember::rpc {

// A channel to `address` (HOST:PORT) that accepts only the estate's certificate for (role, name), for example
// ("controller", "em") or ("agent", "nas1"). Connects lazily and reconnects by itself (backoff 0.2 s to 5 s).
// An identity with an empty certificate dials without one (enrolment).
// Keepalive finds a dead peer within about 20 s. Messages up to kGrpcMessageBytesMax.
std::shared_ptr<grpc::Channel> Dial(absl::string_view address, const Identity& identity, absl::string_view role,
                                    absl::string_view name);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_CHANNEL_H_
