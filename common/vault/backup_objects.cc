#include "common/vault/backup_objects.h"

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/vault/framed.h"

namespace ember::vault {
namespace {

using format::v1::StoredBackupRecord;
using format::v1::Tombstone;
using format::v1::TrashedBackup;

constexpr size_t kSequenceDigits = 20;

template <typename Message>
absl::StatusOr<Message> ParseFramed(absl::string_view magic, const std::string& object,
                                    absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body, Unframe(magic, bytes, object));
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Damaged(object, "it does not parse");
  return message;
}

}  // namespace

std::string BackupTail(absl::string_view domain_id, uint64_t sequence, absl::string_view stamp) {
  return absl::StrFormat("%s/%020d-%s", domain_id, sequence, stamp);
}

std::string BackupObject(absl::string_view kind, absl::string_view tail) {
  return absl::StrCat(kind, "/", tail);
}

TailParts PartsOfTail(absl::string_view tail) {
  const std::vector<absl::string_view> parts = absl::StrSplit(tail, '/');
  TailParts result;
  if (parts.size() != 2 || parts[1].size() <= kSequenceDigits + 1 ||
      parts[1][kSequenceDigits] != '-' ||
      !absl::SimpleAtoi(parts[1].substr(0, kSequenceDigits), &result.sequence)) {
    return TailParts();
  }
  result.domain_id = std::string(parts[0]);
  result.stamp = std::string(parts[1].substr(kSequenceDigits + 1));
  return result;
}

absl::StatusOr<std::vector<std::string>> ListTails(ObjectStore& store, absl::string_view kind) {
  EMBER_ASSIGN_OR_RETURN(std::vector<std::string> objects, store.List(kind));
  for (std::string& object : objects) object.erase(0, kind.size() + 1);
  return objects;
}

absl::StatusOr<std::string> ReadObject(ObjectStore& store, const std::string& object) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  return store.Read(object, 0, size);
}

absl::StatusOr<StoredBackupRecord> ParseBackup(absl::string_view tail, absl::string_view bytes) {
  const std::string object = BackupObject(kSnaps, tail);
  EMBER_ASSIGN_OR_RETURN(StoredBackupRecord record,
                         ParseFramed<StoredBackupRecord>(kBackupMagic, object, bytes));
  const auto id = ParseBackupId(record.backup_id());
  if (!id.ok() || id->workload != record.workload() ||
      tail != BackupTail(record.domain_id(), record.sequence(), id->stamp)) {
    return Damaged(object, "it is not the backup that its name says");
  }
  return record;
}

v1::StoredBackup ToWire(const StoredBackupRecord& record) {
  v1::StoredBackup backup;
  backup.set_backup_id(record.backup_id());
  backup.set_domain_id(record.domain_id());
  backup.set_workload(record.workload());
  backup.set_sequence(record.sequence());
  *backup.mutable_received() = record.received();
  backup.set_session_id(record.session_id());
  backup.set_manifest_root(record.manifest_root());
  backup.set_sealed_summary(record.sealed_summary());
  backup.set_summary_nonce(record.summary_nonce());
  backup.set_ids_total(record.ids_total());
  backup.set_origin_vault_id(record.origin_vault_id());
  backup.set_origin_sequence(record.origin_sequence());
  if (record.has_retain_until()) *backup.mutable_held_until() = record.retain_until();
  if (record.has_origin_received()) *backup.mutable_origin_received() = record.origin_received();
  return backup;
}

absl::StatusOr<TrashedBackup> ReadTrashed(ObjectStore& store, absl::string_view tail) {
  const std::string object = BackupObject(kTrashedSnaps, tail);
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store, object));
  return ParseFramed<TrashedBackup>(kTrashMagic, object, bytes);
}

absl::StatusOr<Tombstone> ReadTombstone(ObjectStore& store, absl::string_view tail) {
  const std::string object = BackupObject(kTombstones, tail);
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store, object));
  EMBER_ASSIGN_OR_RETURN(Tombstone tombstone,
                         ParseFramed<Tombstone>(kTombstoneMagic, object, bytes));
  if (tombstone.sequence() != PartsOfTail(tail).sequence)
    return Damaged(object, "it is not the tombstone that its name says");
  return tombstone;
}

ChainLink ReadLink(ObjectStore& store, absl::string_view kind, absl::string_view tail) {
  if (kind == kTombstones) {
    const auto tombstone = ReadTombstone(store, tail);
    if (!tombstone.ok()) return {.readable = false};
    return {.sha256 = tombstone->record_sha256(), .previous_sha256 = tombstone->previous_sha256()};
  }
  std::string bytes;
  if (kind == kTrashedSnaps) {
    auto trashed = ReadTrashed(store, tail);
    if (!trashed.ok()) return {.readable = false};
    bytes = std::move(*trashed->mutable_record());
  } else {
    auto read = ReadObject(store, BackupObject(kind, tail));
    if (!read.ok()) return {.readable = false};
    bytes = *std::move(read);
  }
  const auto record = ParseBackup(tail, bytes);
  // The next commit follows whatever bytes are there, so that their hash counts in any case.
  if (!record.ok()) return {.sha256 = Sha256(bytes), .readable = false};
  return {.sha256 = Sha256(bytes), .previous_sha256 = record->previous_sha256()};
}

absl::StatusOr<std::map<std::string, DomainChain>> ReadChains(ObjectStore& store) {
  std::map<std::string, DomainChain> chains;
  for (const char* kind : {kTombstones, kTrashedSnaps, kSnaps}) {
    EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> tails, ListTails(store, kind));
    for (const std::string& tail : tails) {
      const TailParts parts = PartsOfTail(tail);
      if (!parts.domain_id.empty())
        chains[parts.domain_id][parts.sequence] = ReadLink(store, kind, tail);
    }
  }
  return chains;
}

std::vector<uint64_t> BrokenLinks(const DomainChain& chain) {
  std::vector<uint64_t> broken;
  std::set<std::string> known = {""};
  for (const auto& [sequence, link] : chain) {
    if (link.readable && !known.contains(link.previous_sha256)) broken.push_back(sequence);
    if (!link.sha256.empty()) known.insert(link.sha256);
  }
  return broken;
}

std::vector<std::string> DescribeBreaks(const std::map<std::string, DomainChain>& chains,
                                        const std::map<std::string, VaultState::ChainHead>& heads) {
  std::vector<std::string> problems;
  for (const auto& [domain, chain] : chains) {
    for (const uint64_t sequence : BrokenLinks(chain)) {
      problems.push_back(absl::StrCat("domain ", domain, ": the backup before number ", sequence,
                                      " is missing or was exchanged, and no tombstone says why"));
    }
  }
  for (const auto& [domain, head] : heads) {
    const auto chain = chains.find(domain);
    if (chain != chains.end()) {
      const auto link = chain->second.find(head.sequence);
      // One that is there and damaged is reported as such.
      if (link != chain->second.end() &&
          (!link->second.readable || link->second.sha256 == head.record_sha256)) {
        continue;
      }
    }
    problems.push_back(absl::StrCat("domain ", domain, ": the newest backup, number ",
                                    head.sequence,
                                    ", is missing or was exchanged, and no tombstone says why"));
  }
  return problems;
}

}  // namespace ember::vault
