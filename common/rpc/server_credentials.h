// TLS for a server: which certificate it shows (the newest on disk), and the gate in front of every
// call.
#ifndef EMBER_COMMON_RPC_SERVER_CREDENTIALS_H_
#define EMBER_COMMON_RPC_SERVER_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/gate.h"
#include "grpcpp/security/server_credentials.h"

namespace ember::rpc {

// Loads the identity in `directory`; each later handshake loads it again if its files changed, and
// goes on with the one before when they cannot be used. Running connections keep what they have.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const std::string& directory, std::unique_ptr<Gate> gate);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_SERVER_CREDENTIALS_H_
