// A client of a vault whose backups follow from a name and a number, so that whoever checks them
// later needs no copy of what was sent.
#ifndef EMBER_TESTS_SUPPORT_VAULT_CLIENT_H_
#define EMBER_TESTS_SUPPORT_VAULT_CLIENT_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/vault/vault.h"
#include "ember/v1/vault.pb.h"

namespace ember::testing {

// Backup `number`, from 1, of `workload`, a name that ends in a digit.
struct PlannedBackup {
  std::string workload;
  int number = 0;
  int64_t hold_seconds = 0;  // as the controller grants it
  auto operator<=>(const PlannedBackup&) const = default;
};

std::string BackupIdOf(const PlannedBackup& backup);
// The reverse. INVALID_ARGUMENT when `backup_id` is no such id.
absl::StatusOr<PlannedBackup> PlannedBackupOf(const std::string& backup_id);
std::string SessionIdOf(const PlannedBackup& backup);
std::string KeyboxOf(const PlannedBackup& backup);
// All boxes are kept for the one domain.
std::string RecoveryBoxOf(const PlannedBackup& backup);
// Numbers of its records: some are its own, some also belong to its neighbours in number, of any
// workload.
std::vector<int> RecordsOf(const PlannedBackup& backup);
std::string RecordIdOf(int record);
std::string PayloadOf(int record);
std::vector<std::string> SortedIdsOf(const std::vector<int>& records);

inline constexpr char kClientNode[] = "host1";
inline constexpr char kClientDomain[] = "host1";

// One session with a vault. `vault` must outlive it.
class VaultClient {
 public:
  static absl::StatusOr<VaultClient> Open(vault::Vault& vault, const PlannedBackup& backup,
                                          uint64_t epoch = 1);
  // The vault was restarted: later calls go to this one, which must outlive it too.
  void UseVault(vault::Vault& vault) { vault_ = &vault; }
  const PlannedBackup& backup() const { return backup_; }
  uint64_t token() const { return token_; }
  // Those of `records` that the vault says it lacks.
  absl::StatusOr<std::vector<int>> Absent(const std::vector<int>& records);
  absl::Status Append(const std::vector<int>& records);
  absl::Status Sync();
  // Names `records`; a reply with `need` published nothing.
  absl::StatusOr<v1::CommitReply> Commit(const std::vector<int>& records);

 private:
  VaultClient(vault::Vault& vault, PlannedBackup backup, uint64_t token)
      : vault_(&vault), backup_(std::move(backup)), token_(token) {}

  vault::Vault* vault_;
  PlannedBackup backup_;
  uint64_t token_;
};

// All the rest of a session: asks what is absent, sends that with a sync after every `sync_every`
// records, commits, and sends what the commit asks for. `careless`: first commits without sending
// anything.
struct BackUpOptions {
  size_t sync_every = 6;
  bool careless = false;
};
absl::StatusOr<v1::CommitReply> BackUp(VaultClient& client, const BackUpOptions& options = {});

// OK when the backup is there and every one of its records comes back as it was sent. Those of
// `damaged` may be reported instead, yet never come back changed.
absl::Status CheckRestores(vault::Vault& vault, const PlannedBackup& backup,
                           const std::set<int>& damaged = {});

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_VAULT_CLIENT_H_
