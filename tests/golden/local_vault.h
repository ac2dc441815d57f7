// A vault of this very process as the port that backups and restores use.
#ifndef EMBER_TESTS_GOLDEN_LOCAL_VAULT_H_
#define EMBER_TESTS_GOLDEN_LOCAL_VAULT_H_

#include <functional>
#include <memory>
#include <string>

#include "common/backup/vault_port.h"
#include "common/vault/vault.h"

namespace ember::testing {

// Safe for concurrent use, as far as VaultPort is.
class LocalVault : public backup::VaultPort {
 public:
  // `node`: who calls. `vault` must outlive the port and its sessions.
  LocalVault(vault::Vault& vault, std::string node) : vault_(vault), node_(std::move(node)) {}

  absl::StatusOr<std::unique_ptr<backup::VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override;
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    return vault_.GetBackup(backup_id);
  }
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override {
    return vault_.ListBackups(workload);
  }
  absl::Status Read(v1::ReadRequest request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    return vault_.Read(request, "", sink);
  }

 private:
  vault::Vault& vault_;
  const std::string node_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_GOLDEN_LOCAL_VAULT_H_
