#include "cli/offline/offline_vault.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/backup/record.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/backup_objects.h"

namespace ember::cli {

using vault::VaultArchive;

absl::StatusOr<OfflineVault> OfflineVault::Open(const std::string& directory,
                                                const std::string& kit_file) {
  OfflineVault vault;
  const auto text = ReadFile(kit_file, kRecoveryKitBytesMax);
  if (!text.ok()) {
    return WithHint(Annotate(text.status(), "the recovery kit cannot be read"),
                    "give the file with --kit");
  }
  EMBER_ASSIGN_OR_RETURN(vault.kit_, ParseRecoveryKit(*text));
  const std::string what = absl::StrCat("cannot open the vault in ", directory);
  auto store = vault::OpenDirectoryForReading(directory);
  auto archive = store.ok() ? VaultArchive::Open(*std::move(store)) : store.status();
  if (!archive.ok()) {
    const absl::Status told = Annotate(archive.status(), what);
    return absl::IsNotFound(told)
               ? WithHint(told, "give the directory that holds VAULT, packs and snaps")
               : told;
  }
  vault.archive_ = *std::move(archive);
  return vault;
}

absl::StatusOr<const VaultArchive::Backup*> OfflineVault::Resolve(const std::string& name) const {
  const auto exact = archive_->Find(name);
  if (!absl::IsNotFound(exact.status())) return exact;
  absl::string_view workload = name;
  const bool latest = absl::ConsumeSuffix(&workload, "@latest");
  const VaultArchive::Backup* found = nullptr;
  std::string matches;
  const bool whole = ParseBackupId(name).ok();  // never another backup of the same second
  for (const VaultArchive::Backup& backup : archive_->backups()) {
    const std::string& id = backup.record.backup_id();
    if (latest) {
      if (backup.record.workload() == workload && !backup.trashed) found = &backup;
    } else if (!whole && absl::StartsWith(id, name)) {
      found = &backup;
      absl::StrAppend(&matches, matches.empty() ? "" : ", ", id);
    }
  }
  if (found == nullptr) return exact.status();
  if (absl::StrContains(matches, ", ")) return BackupAmbiguous(name, matches);
  return found;
}

absl::StatusOr<format::v1::DomainSecrets> OfflineVault::SecretsOf(const std::string& domain_id) {
  const auto known = secrets_.find(domain_id);
  if (known != secrets_.end()) return known->second;
  const auto boxes = archive_->BoxesOf(domain_id);
  auto secrets = boxes.ok() ? backup::OpenDomain(kit_, *boxes) : boxes.status();
  if (absl::IsNotFound(boxes.status())) {
    secrets = WithHint(
        Damaged(absl::StrCat("keys/", domain_id),
                "it is missing; only the EM, or another vault, has the keys of this domain"),
        "restore through the EM; vaults get that file with the next backup");
  } else if (absl::IsDataLoss(boxes.status())) {
    secrets = WithHint(boxes.status(), "put a copy of that file from another vault in its place");
  }
  secrets_.emplace(domain_id, secrets);
  return secrets;
}

absl::Status OfflineVault::CheckKit() {
  absl::Status first;
  for (const std::string& domain : archive_->Domains()) {
    const absl::Status opened = SecretsOf(domain).status();
    if (opened.ok()) return opened;
    // A wrong kit says more about why nothing opens than a damaged file does.
    if (first.ok() || (absl::IsDataLoss(first) && absl::IsInvalidArgument(opened))) first = opened;
  }
  return first;
}

v1::Backup OfflineVault::Describe(const VaultArchive::Backup& backup) {
  v1::Backup row;
  row.set_id(backup.record.backup_id());
  row.set_workload(backup.record.workload());
  *row.mutable_created() = backup.record.received();
  row.set_added_bytes(backup.record.added_bytes());
  row.set_trashed(backup.trashed);
  row.set_outcome(v1::Outcome::FAILED);
  const auto summary = [&]() -> absl::StatusOr<format::v1::BackupSummary> {
    EMBER_ASSIGN_OR_RETURN(format::v1::DomainSecrets secrets, SecretsOf(backup.record.domain_id()));
    v1::Keybox box;
    box.set_session_id(backup.record.session_id());
    box.set_sealed(backup.record.keybox());
    EMBER_ASSIGN_OR_RETURN(const backup::RestoreKeys keys, backup::KeysOfDomain(std::move(secrets))(
                                                               backup.record.domain_id(), {box}));
    const auto key = keys.session_keys.find(box.session_id());
    if (key == keys.session_keys.end())
      return absl::DataLossError("its session's key does not open");
    return backup::OpenSummary(key->second, vault::ToWire(backup.record));
  }();
  if (!summary.ok()) {
    row.set_error(std::string(summary.status().message()));
    return row;
  }
  row.set_outcome(summary->problems() > 0 ? v1::Outcome::PARTIAL : v1::Outcome::OK);
  row.set_problems_total(summary->problems());
  row.set_size_bytes(summary->bytes());
  row.set_files(summary->files());
  row.set_node(summary->node());
  row.set_reason(summary->reason());
  row.set_version(summary->writer());
  return row;
}

}  // namespace ember::cli
