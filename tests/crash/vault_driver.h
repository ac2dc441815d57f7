// Works on one vault and notes what it asks and what is answered, before and after.
#ifndef EMBER_TESTS_CRASH_VAULT_DRIVER_H_
#define EMBER_TESTS_CRASH_VAULT_DRIVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/vault/vault.h"
#include "tests/crash/vault_damage.h"
#include "tests/support/fake_clock.h"
#include "tests/support/vault_client.h"
#include "tests/support/vault_ledger.h"

namespace ember::testing {

// Errors are noted and returned; a driver goes on after them as an agent would.
class VaultDriver {
 public:
  using Note = std::function<void(const VaultEvent&)>;
  VaultDriver(std::string directory, Clock& clock, Note note);

  absl::Status Open();
  void Close() { vault_.reset(); }
  // Null unless open.
  vault::Vault* vault() { return vault_.get(); }

  absl::Status BackUp(const PlannedBackup& backup, const BackUpOptions& options = {},
                      uint64_t epoch = 1);
  // A session whose records are stored and which nobody commits.
  absl::Status Abandon(const PlannedBackup& backup);
  absl::Status Delete(const std::vector<PlannedBackup>& backups);
  absl::Status Undelete(const std::vector<PlannedBackup>& backups);
  absl::Status Gc();
  // Spoils the pack of a record behind the vault's back.
  absl::Status Spoil(int record, Damage damage);
  // Closes the vault first.
  absl::Status SpoilIndex(IndexDamage damage);
  // A check that reads all and repairs, also from `other`. DATA_LOSS: it found what it could not
  // mend.
  absl::Status Repair(vault::ReplicaSource& other);
  // What was copied, now or earlier; all `workloads` when empty. DATA_LOSS: not all could be.
  absl::StatusOr<std::vector<PlannedBackup>> Replicate(
      vault::ReplicaSource& from, const std::vector<std::string>& workloads = {});

 private:
  absl::StatusOr<v1::VaultResult> Run(const v1::VaultOrder& order,
                                      vault::ReplicaSource* other = nullptr);
  void Say(VaultEvent::Verb verb, VaultEvent::Outcome outcome, const PlannedBackup& backup);
  absl::Status NotOpen() const { return absl::FailedPreconditionError("the vault is not open"); }

  const std::string directory_;
  Clock& clock_;
  const Note note_;
  std::shared_ptr<vault::Vault> vault_;
};

vault::VaultOptions OptionsFor(const std::string& directory, Clock& clock);

// What a vault owes to whoever opens `directory` after a crash at `now`, `ledger` telling what was
// promised: it opens without help; every promise holds, also with an index made anew; the chain of
// records is whole; sequence, time and tokens go on upwards though the clock is set back; what was
// interrupted can be repeated; a collection takes nothing that is needed. With `other` all damage
// can be repaired, and all that it has is copied. Changes the directory.
absl::Status CheckRecovery(const std::string& directory, VaultLedger ledger, absl::Time now,
                           vault::ReplicaSource* other = nullptr);

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_VAULT_DRIVER_H_
