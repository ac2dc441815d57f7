// A vault that the watched one copies from; its own directory is watched by nobody.
#ifndef EMBER_TESTS_CRASH_SOURCE_VAULT_H_
#define EMBER_TESTS_CRASH_SOURCE_VAULT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/crash/vault_driver.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/support/vault_source.h"

namespace ember::testing {

class SourceVault {
 public:
  // Opens the vault in `directory`, or makes it, and then these backups in this order.
  static absl::StatusOr<std::unique_ptr<SourceVault>> Open(
      const std::string& directory, const std::vector<PlannedBackup>& backups = {});
  // In a directory of its own. Ends the process when that fails.
  static std::shared_ptr<SourceVault> Make(const std::vector<PlannedBackup>& backups);

  // The link breaks in the midst of the records when so many have come; -1: never.
  void CutAfter(int records);
  vault::ReplicaSource& source() { return *source_; }

 private:
  explicit SourceVault(const std::string& directory)
      : driver_(directory, clock_, [](const VaultEvent&) {}) {}

  std::unique_ptr<TempDir> parent_;  // of Make
  FakeClock clock_;
  VaultDriver driver_;
  std::unique_ptr<VaultSource> source_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_SOURCE_VAULT_H_
