#include "common/vault/vault_archive.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/vault/backup_objects.h"
#include "common/vault/domain_boxes.h"
#include "common/vault/framed.h"
#include "common/vault/vault_header.h"

namespace ember::vault {
namespace {

constexpr char kHeads[] = "state/domains";

// The newest link of each chain as the vault remembered it. One that is damaged is passed over: it
// only ever adds suspicion.
std::map<std::string, VaultState::ChainHead> ReadHeads(ObjectStore& store) {
  std::map<std::string, VaultState::ChainHead> heads;
  const auto objects = store.List(kHeads);
  if (!objects.ok()) return heads;
  for (const std::string& object : *objects) {
    const auto bytes = ReadObject(store, object);
    if (!bytes.ok()) continue;
    const auto body = Unframe(kStateMagic, *bytes, object);
    format::v1::ChainHead head;
    if (!body.ok() || !head.ParseFromArray(body->data(), static_cast<int>(body->size()))) continue;
    heads[head.domain_id()] = {.sequence = head.sequence(), .record_sha256 = head.record_sha256()};
  }
  return heads;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VaultArchive>> VaultArchive::Open(
    std::shared_ptr<ObjectStore> store) {
  std::unique_ptr<VaultArchive> archive(new VaultArchive(std::move(store)));
  EMBER_RETURN_IF_ERROR(archive->Load());
  return archive;
}

absl::Status VaultArchive::Load() {
  const auto header = ReadHeader(*store_);
  if (header.ok()) {
    vault_id_ = *header;
  } else if (absl::IsDataLoss(header.status())) {
    problems_.emplace_back(header.status().message());
  } else if (!absl::IsNotFound(header.status())) {
    return header.status();
  }
  // Committed ones first: a backup in both places is committed (stored_backups_load.cc).
  EMBER_RETURN_IF_ERROR(LoadKind(kSnaps));
  EMBER_RETURN_IF_ERROR(LoadKind(kTrashedSnaps));
  if (absl::IsNotFound(header.status())) {
    if (backups_.empty() && damaged_.empty())
      return absl::NotFoundError("no vault: it has neither the file VAULT nor any backup");
    problems_.emplace_back("VAULT: it is missing");
  }
  std::sort(backups_.begin(), backups_.end(), [](const Backup& a, const Backup& b) {
    const absl::Time at = rpc::FromTimestamp(a.record.received());
    const absl::Time bt = rpc::FromTimestamp(b.record.received());
    return at != bt ? at < bt : a.record.sequence() < b.record.sequence();
  });
  return CheckChains();
}

absl::Status VaultArchive::LoadKind(absl::string_view kind) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> tails, ListTails(*store_, kind));
  for (const std::string& tail : tails) LoadOne(kind, tail);
  return absl::OkStatus();
}

void VaultArchive::LoadOne(absl::string_view kind, const std::string& tail) {
  absl::StatusOr<std::string> bytes;
  if (kind == kTrashedSnaps) {
    auto trashed = ReadTrashed(*store_, tail);
    bytes = trashed.ok() ? absl::StatusOr<std::string>(std::move(*trashed->mutable_record()))
                         : trashed.status();
  } else {
    bytes = ReadObject(*store_, BackupObject(kind, tail));
  }
  auto record = bytes.ok() ? ParseBackup(tail, *bytes) : bytes.status();
  if (!record.ok()) {
    problems_.emplace_back(record.status().message());
    damaged_.push_back({tail, record.status()});
    return;
  }
  // A commit that was repeated at its very end leaves two records of one backup; the first counts.
  const bool known = std::any_of(backups_.begin(), backups_.end(), [&](const Backup& each) {
    return each.record.backup_id() == record->backup_id();
  });
  if (!known) backups_.push_back({*std::move(record), tail, kind == kTrashedSnaps});
}

absl::Status VaultArchive::CheckChains() {
  const auto heads = ReadHeads(*store_);
  EMBER_ASSIGN_OR_RETURN(const auto chains, ReadChains(*store_));
  for (std::string& problem : DescribeBreaks(chains, heads))
    problems_.push_back(std::move(problem));
  return absl::OkStatus();
}

absl::StatusOr<const VaultArchive::Backup*> VaultArchive::Find(const std::string& backup_id) const {
  for (const Backup& backup : backups_) {
    if (backup.record.backup_id() == backup_id) return &backup;
  }
  const auto id = ParseBackupId(backup_id);
  for (const DamagedBackup& damaged : damaged_) {
    // The name of the file is all that is left of its id, without the workload.
    if (!id.ok() || PartsOfTail(damaged.tail).stamp != id->stamp) continue;
    return Damaged(absl::StrCat("backup '", backup_id, "' of workload '", id->workload, "'"),
                   damaged.why.message());
  }
  return BackupNotFound(backup_id);
}

std::vector<std::string> VaultArchive::Domains() const {
  std::set<std::string> domains;
  for (const Backup& backup : backups_) domains.insert(backup.record.domain_id());
  for (const DamagedBackup& damaged : damaged_) domains.insert(PartsOfTail(damaged.tail).domain_id);
  domains.erase("");
  return {domains.begin(), domains.end()};
}

absl::StatusOr<format::v1::DomainBoxes> VaultArchive::BoxesOf(const std::string& domain_id) const {
  return ReadDomainBoxes(*store_, domain_id);
}

absl::StatusOr<std::unique_ptr<LocatedBackup>> VaultArchive::Locate(
    const Backup& backup, const JobContext& context) const {
  return LocatedBackup::Find(store_, backup.record, backup.tail, context);
}

}  // namespace ember::vault
