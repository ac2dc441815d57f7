// Serves vaults over gRPC.
#ifndef EMBER_COMMON_VAULT_VAULT_SERVICE_H_
#define EMBER_COMMON_VAULT_VAULT_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/server.h"
#include "common/vault/vault.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace ember::vault {

// Finds an open vault by name; null when this node does not serve it, an error when it should but
// cannot open it. Safe for concurrent use.
using VaultLookup = std::function<absl::StatusOr<std::shared_ptr<Vault>>(const std::string& name)>;

// `identity`: of the agent that hosts the vaults, as it is now. Receipts are signed with it, and
// grants must be its CA's. `refused` is told about agents that ask for another node's dedup domain,
// or for a backup that they were not granted.
std::unique_ptr<grpc::Service> NewVaultService(VaultLookup lookup,
                                               std::function<rpc::Identity()> identity,
                                               rpc::RefusalReport refused);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_SERVICE_H_
