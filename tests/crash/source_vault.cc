#include "tests/crash/source_vault.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "common/base/status.h"

namespace ember::testing {

absl::StatusOr<std::unique_ptr<SourceVault>> SourceVault::Open(
    const std::string& directory, const std::vector<PlannedBackup>& backups) {
  std::unique_ptr<SourceVault> made(new SourceVault(directory));
  EMBER_RETURN_IF_ERROR(made->driver_.Open());
  for (const PlannedBackup& backup : backups) EMBER_RETURN_IF_ERROR(made->driver_.BackUp(backup));
  made->source_ = std::make_unique<VaultSource>(*made->driver_.vault());
  return made;
}

std::shared_ptr<SourceVault> SourceVault::Make(const std::vector<PlannedBackup>& backups) {
  auto parent = std::make_unique<TempDir>(FastDirectory());
  auto made = Open(parent->Join("source"), backups);
  if (!made.ok()) {
    std::fprintf(stderr, "no vault to copy from: %s\n", made.status().ToString().c_str());
    std::abort();
  }
  (*made)->parent_ = std::move(parent);
  return *std::move(made);
}

void SourceVault::CutAfter(int records) {
  source_->records_read = 0;
  source_->fail_read_after = records;
}

}  // namespace ember::testing
