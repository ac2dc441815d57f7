// Copying records from another vault, verbatim: what replication and healing have in common.
#ifndef EMBER_COMMON_VAULT_COPY_RECORDS_H_
#define EMBER_COMMON_VAULT_COPY_RECORDS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"
#include "common/vault/vault.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Where the copies go; all of it outlives the copying.
struct CopyParts {
  ObjectStore& store;
  ChunkIndex& index;
  PackTrash& trash;
  DamagedIds& damaged;
  PackParityMode parity;
};

// The sessions whose records a backup may have, as another vault tells them.
std::vector<format::v1::PackSession> SessionsOf(const v1::StoredBackup& backup);
// False: here it has another key or domain.
bool FitsKnownSession(ChunkIndex& index, const format::v1::PackSession& session);

// The records of some sessions of one domain, from one other vault. For one thread.
class RecordCopier {
 public:
  // `sessions`: those that records may belong to. `came` is told of the bytes of each record; an
  // error of it ends the copying.
  RecordCopier(const CopyParts& parts, ReplicaSource& from,
               std::vector<format::v1::PackSession> sessions,
               std::function<absl::Status(int64_t bytes)> came);

  // Each id once. A record that the other vault does not have, has damaged, or that belongs to none
  // of the sessions, and one whose id is known here in another domain, is left out, and counted by
  // missing().
  absl::Status Copy(const std::vector<std::string>& ids);
  // What was copied is durable and in the index.
  absl::Status Finish();

  int64_t copied() const { return copied_; }
  int64_t missing() const { return missing_; }

 private:
  absl::Status CopyBatch(const std::vector<std::string>& ids);
  absl::Status Take(const v1::Record& record);
  bool IsWelcome(const v1::Record& record) const;

  const CopyParts parts_;
  ReplicaSource& from_;
  const std::vector<format::v1::PackSession> sessions_;
  std::set<std::string> session_ids_;
  const std::function<absl::Status(int64_t bytes)> came_;
  std::unique_ptr<PackWriter> pack_;
  int64_t copied_ = 0;
  int64_t missing_ = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_COPY_RECORDS_H_
