// A vault as files that are only read: no lock, no index, no process that serves it, not a byte
// written. For a disk of a machine that is gone.
#ifndef EMBER_COMMON_VAULT_VAULT_ARCHIVE_H_
#define EMBER_COMMON_VAULT_VAULT_ARCHIVE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/vault/job.h"
#include "common/vault/located_backup.h"
#include "common/vault/object_store.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Immutable; safe for concurrent use. A vault that is being served while it is read shows what was
// there at some time meanwhile.
class VaultArchive {
 public:
  // Reads every backup's record. `store` is read only. NOT_FOUND: there is no vault.
  // FAILED_PRECONDITION: made by a newer Ember.
  static absl::StatusOr<std::unique_ptr<VaultArchive>> Open(std::shared_ptr<ObjectStore> store);

  struct Backup {
    format::v1::StoredBackupRecord record;
    std::string tail;      // see backup_objects.h
    bool trashed = false;  // deleted, and not purged: all of it is still there
  };
  // Committed or in the trash; in the order of their receive times.
  const std::vector<Backup>& backups() const { return backups_; }
  // DATA_LOSS when its record is damaged; NOT_FOUND.
  absl::StatusOr<const Backup*> Find(const std::string& backup_id) const;
  // Damaged records and broken chains (docs/vault.md, I7), a sentence for each.
  const std::vector<std::string>& problems() const { return problems_; }
  // Empty when the header is damaged or missing.
  const std::string& vault_id() const { return vault_id_; }

  // The domains of all backups, damaged ones included; sorted.
  std::vector<std::string> Domains() const;
  // As ReadDomainBoxes.
  absl::StatusOr<format::v1::DomainBoxes> BoxesOf(const std::string& domain_id) const;

  // Finds the records of a backup in the packs. Reads the table of every pack once.
  absl::StatusOr<std::unique_ptr<LocatedBackup>> Locate(const Backup& backup,
                                                        const JobContext& context) const;

 private:
  explicit VaultArchive(std::shared_ptr<ObjectStore> store) : store_(std::move(store)) {}
  absl::Status Load();
  absl::Status LoadKind(absl::string_view kind);
  void LoadOne(absl::string_view kind, const std::string& tail);
  absl::Status CheckChains();

  struct DamagedBackup {
    std::string tail;
    absl::Status why;
  };

  const std::shared_ptr<ObjectStore> store_;
  std::string vault_id_;
  std::vector<Backup> backups_;
  std::vector<DamagedBackup> damaged_;
  std::vector<std::string> problems_;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_ARCHIVE_H_
