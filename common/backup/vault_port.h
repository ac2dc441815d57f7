// What the data plane needs of a vault. Implementations: over gRPC (here), in memory (tests); both
// pass tests/contract/vault_port.
#ifndef EMBER_COMMON_BACKUP_VAULT_PORT_H_
#define EMBER_COMMON_BACKUP_VAULT_PORT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/id_filter.h"
#include "common/base/pieces.h"
#include "ember/v1/vault.pb.h"
#include "grpcpp/channel.h"

namespace ember::backup {

// One backup's conversation with one vault. Upload may be called from one thread while Absent is
// called from others.
class VaultSession {
 public:
  virtual ~VaultSession() = default;
  virtual bool domain_empty() const = 0;
  virtual bool parent_present() const = 0;
  // What is not in it is absent, and need not be asked about. Null: anything may be present.
  virtual const IdFilter* known() const = 0;
  // Per id: is it absent? At most kHaveBatchMax ids.
  virtual absl::StatusOr<std::vector<bool>> Absent(const std::vector<std::string>& ids) = 0;
  // Queues records (batched into messages of kUploadMessageBytes); waits while too much is
  // unacknowledged. An error of an earlier record may surface here, in Flush or in Commit:
  // RESOURCE_EXHAUSTED disk full, ABORTED superseded.
  virtual absl::Status Upload(v1::Record record) = 0;
  // Returns when all records are received by the vault.
  virtual absl::Status Flush() = 0;
  // Publishes. `ids`: joined, ascending, each once. A reply with `need` published nothing.
  virtual absl::StatusOr<v1::CommitReply> Commit(const v1::CommitHeader& header,
                                                 const Pieces& ids) = 0;
};

// Safe for concurrent use.
class VaultPort {
 public:
  virtual ~VaultPort() = default;
  // `request.vault` is filled in by the port.
  virtual absl::StatusOr<std::unique_ptr<VaultSession>> OpenSession(
      v1::OpenSessionRequest request) = 0;
  virtual absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) = 0;
  virtual absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) = 0;
  // Streams the records of `request` to `sink` (any order). Stops at the first error of the sink or
  // the transport; damaged or absent records come as problems, not as errors.
  virtual absl::Status Read(v1::ReadRequest request,
                            const std::function<absl::Status(v1::ReadReply&&)>& sink) = 0;
};

// `vault` served behind `channel` (rpc::Dial to its node). Without a `read_grant` only what the
// caller's own node stored is read.
std::unique_ptr<VaultPort> OpenGrpcVault(std::shared_ptr<grpc::Channel> channel, std::string vault,
                                         v1::Signed read_grant = {});

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_VAULT_PORT_H_
