// A vault's directory opened with a recovery kit.
#ifndef EMBER_CLI_OFFLINE_OFFLINE_VAULT_H_
#define EMBER_CLI_OFFLINE_OFFLINE_VAULT_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/backup/domain_keys.h"
#include "common/vault/vault_archive.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/control.pb.h"

namespace ember::cli {

// Used by one thread.
class OfflineVault {
 public:
  // NOT_FOUND: no such directory or file, or no vault in it. INVALID_ARGUMENT: the kit is none.
  static absl::StatusOr<OfflineVault> Open(const std::string& directory,
                                           const std::string& kit_file);

  const vault::VaultArchive& archive() const { return *archive_; }
  // The id that `name` stands for: an id, a unique prefix of one, or WORKLOAD@latest (not one in
  // the trash). NOT_FOUND; INVALID_ARGUMENT when it is not unique; DATA_LOSS when its record is
  // damaged.
  absl::StatusOr<const vault::VaultArchive::Backup*> Resolve(const std::string& name) const;
  // INVALID_ARGUMENT: the kit is another estate's. DATA_LOSS: the domain's boxes are damaged or
  // missing.
  absl::StatusOr<format::v1::DomainSecrets> SecretsOf(const std::string& domain_id);
  // OK when the kit opens some domain, or there is none.
  absl::Status CheckKit();
  // What its record and its sealed summary tell; `error` is set when the latter does not open.
  v1::Backup Describe(const vault::VaultArchive::Backup& backup);

 private:
  std::unique_ptr<vault::VaultArchive> archive_;
  RecoveryKit kit_;
  std::map<std::string, absl::StatusOr<format::v1::DomainSecrets>> secrets_;  // by domain
};

}  // namespace ember::cli

#endif  // EMBER_CLI_OFFLINE_OFFLINE_VAULT_H_
