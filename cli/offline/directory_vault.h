// A vault's directory as the port that restores read from: no agent, no index, nothing written.
#ifndef EMBER_CLI_OFFLINE_DIRECTORY_VAULT_H_
#define EMBER_CLI_OFFLINE_DIRECTORY_VAULT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/backup/vault_port.h"
#include "common/vault/vault_archive.h"

namespace ember::cli {

// Passes over what cannot be read, and remembers it. Safe for concurrent use.
class DirectoryVault : public backup::VaultPort {
 public:
  // `context`: of the search for a backup's records, which GetBackup makes. `archive` must outlive
  // the port.
  DirectoryVault(const vault::VaultArchive& archive, vault::JobContext context)
      : archive_(archive), context_(std::move(context)) {}

  // FAILED_PRECONDITION.
  absl::StatusOr<std::unique_ptr<backup::VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override;
  // Finds the records of the backup; from then on Read knows those, and no others.
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override;
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override;
  absl::Status Read(v1::ReadRequest request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override;

  // Packs and reference sets that the last GetBackup found damaged.
  std::vector<std::string> problems() const;

 private:
  std::shared_ptr<const vault::LocatedBackup> located() const;

  const vault::VaultArchive& archive_;
  const vault::JobContext context_;
  mutable absl::Mutex mu_;
  std::shared_ptr<const vault::LocatedBackup> located_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::cli

#endif  // EMBER_CLI_OFFLINE_DIRECTORY_VAULT_H_
