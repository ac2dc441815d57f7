// The orders that move or look after data, each a function of what it needs.
#ifndef EMBER_NODE_AGENT_ORDERS_DATA_PLANE_H_
#define EMBER_NODE_AGENT_ORDERS_DATA_PLANE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/backup/vault_port.h"
#include "common/base/clock.h"
#include "common/rpc/identity.h"
#include "common/vault/vault.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/orders/runner.h"

namespace ember::agent {

// Safe for concurrent use.
struct DataPlane {
  Clock* clock = nullptr;
  std::string node;
  std::string cache_directory;
  std::function<absl::StatusOr<std::unique_ptr<backup::VaultPort>>(const v1::VaultAddress&)>
      open_vault;
  std::function<absl::StatusOr<std::unique_ptr<vault::ReplicaSource>>(const v1::VaultAddress&)>
      open_replica_source;
  // How long `node` must wait before it sends so many bytes (node-agent/link/uplink.h).
  std::function<absl::Duration(const std::string& node, int64_t bytes)> pace;
  // Of the vaults that this node hosts (node-agent/vault_host/vault_host.h).
  std::function<absl::StatusOr<std::shared_ptr<vault::Vault>>(const std::string& name)> find_vault;
  std::function<absl::StatusOr<std::string>(const std::string& name)> rebuild_index;
  // The keys for one order.
  std::function<backup::KeySource(const std::string& order_id)> keys;
};

// The named vault on its node, over mutual TLS with `identity`.
absl::StatusOr<std::unique_ptr<backup::VaultPort>> DialVault(const v1::VaultAddress& address,
                                                             const rpc::Identity& identity);

// The same vault, to be copied from.
absl::StatusOr<std::unique_ptr<vault::ReplicaSource>> DialReplicaSource(
    const v1::VaultAddress& address, const rpc::Identity& identity);
// What both use: the vault's node; UNAVAILABLE when its address is not known.
absl::StatusOr<std::shared_ptr<grpc::Channel>> DialVaultNode(const v1::VaultAddress& address,
                                                             const rpc::Identity& identity);

// Reads the sources of order.backup().spec() into the vault. When the vault lost records that the
// cache of the last backup names, everything is read again, once. PARTIAL when an earlier try of
// the order was committed, its result lost.
absl::StatusOr<v1::BackupResult> RunBackup(const v1::Order& order, const DataPlane& plane,
                                           const OrderContext& context);

// Restores order.restore() to its directory, or in place. The workload's service is the caller's
// business.
absl::StatusOr<v1::RestoreResult> RunRestore(const v1::Order& order, const DataPlane& plane,
                                             const OrderContext& context);

// Reads and checks every byte of order.verify(), or of its sample. Errors, and `result` with them,
// as RestoreReader::Verify.
absl::Status RunVerify(const v1::Order& order, const DataPlane& plane, const OrderContext& context,
                       v1::VerifyResult* result);

// Does order.vault() in the vault itself, which must be hosted here: UNAVAILABLE when it is not
// open, or in use while its index is to be made anew, and when a second vault that the job names
// does not answer. Other errors are the engine's (common/vault/vault.h).
absl::StatusOr<v1::VaultResult> RunVaultJob(const v1::Order& order, const DataPlane& plane,
                                            const OrderContext& context);

// The page of order.list_files(): as many rows as fit into kListingBytesMax. NOT_FOUND: its path is
// not in the backup.
absl::StatusOr<v1::FileList> RunListFiles(const v1::Order& order, const DataPlane& plane,
                                          const OrderContext& context);

// The part of order.read_file(), sealed to whoever asked. NOT_FOUND as above. INVALID_ARGUMENT:
// it is no file.
absl::StatusOr<v1::FilePart> RunReadFile(const v1::Order& order, const DataPlane& plane,
                                         const OrderContext& context);

// The page of order.diff(), likewise.
absl::StatusOr<v1::DiffResult> RunDiff(const v1::Order& order, const DataPlane& plane,
                                       const OrderContext& context);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_DATA_PLANE_H_
