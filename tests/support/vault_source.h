// A vault of this process as another vault's source of copies; faults on request.
#ifndef EMBER_TESTS_SUPPORT_VAULT_SOURCE_H_
#define EMBER_TESTS_SUPPORT_VAULT_SOURCE_H_

#include <functional>
#include <string>

#include "common/vault/vault.h"

namespace ember::testing {

class VaultSource : public vault::ReplicaSource {
 public:
  explicit VaultSource(vault::Vault& vault) : vault_(&vault) {}

  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups() override {
    return vault_->ListBackups("");
  }
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    absl::StatusOr<v1::StoredBackup> backup = vault_->GetBackup(backup_id);
    if (backup.ok() && change_backup) change_backup(*backup);
    return backup;
  }
  absl::Status ReadRefs(const std::string& backup_id,
                        const std::function<absl::Status(absl::string_view)>& sink) override {
    return vault_->ReadRefs(backup_id, sink);
  }
  absl::Status Read(const v1::ReadRequest& request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    return vault_->Read(request, "", [&](v1::ReadReply&& reply) -> absl::Status {
      records_read += reply.records_size();
      if (fail_read_after >= 0 && records_read > fail_read_after)
        return absl::UnavailableError("the link is cut");
      return sink(std::move(reply));
    });
  }

  std::function<void(v1::StoredBackup&)> change_backup;
  int fail_read_after = -1;  // records; -1: never
  int records_read = 0;

 private:
  vault::Vault* vault_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_VAULT_SOURCE_H_
