// What Load does about a backup that is found in two places (the process died between two steps):
//
// found in              | was       | settled as
// snaps, trash          | Delete or | committed: neither was acknowledged, and that loses nothing
//                       | Undelete  |
// trash, tombstone      | Purge     | gone: the purge is completed
// snaps, tombstone      | Undelete  | committed: a purge had failed at its first step
// refs only             | Commit or | removed; kept when the chain has a hole there, because then a
//                       | Purge     | record was lost and its ids are all that is left of it
#include <algorithm>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/vault/stored_backups.h"

namespace ember::vault {
namespace {

using format::v1::StoredBackupRecord;

Deletion DeletionOf(const format::v1::TrashedBackup& trashed) {
  return {.time = rpc::FromTimestamp(trashed.deleted()),
          .by_person = trashed.by_person(),
          .who = trashed.who(),
          .why = trashed.why()};
}

Deletion DeletionOf(const format::v1::Tombstone& tombstone) {
  return {.time = rpc::FromTimestamp(tombstone.deleted()),
          .by_person = tombstone.by_person(),
          .who = tombstone.who(),
          .why = tombstone.why()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoredBackups>> StoredBackups::Load(ObjectStore& store,
                                                                   VaultState& state) {
  std::unique_ptr<StoredBackups> backups(new StoredBackups(store, state));
  EMBER_RETURN_IF_ERROR(backups->SettleMoves());
  EMBER_RETURN_IF_ERROR(backups->LoadAll());
  return backups;
}

absl::Status StoredBackups::SettleMoves() {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> snaps, ListTails(store_, kSnaps));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> graves, ListTails(store_, kTombstones));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> trash, ListTails(store_, kTrashedSnaps));
  const auto has = [](const std::vector<std::string>& tails, const std::string& tail) {
    return std::binary_search(tails.begin(), tails.end(), tail);
  };
  const auto is_committed = [&](const std::string& tail) {
    return has(snaps, tail) && ReadLink(store_, kSnaps, tail).readable;
  };
  for (const std::string& tail : trash) {
    if (is_committed(tail) || (has(graves, tail) && ReadTombstone(store_, tail).ok())) {
      LogInfo("vault", "settling a deletion that was cut short", {{"backup", tail}});
      EMBER_RETURN_IF_ERROR(store_.Delete(BackupObject(kTrashedSnaps, tail)));
    }
  }
  for (const std::string& tail : graves) {
    if (is_committed(tail)) EMBER_RETURN_IF_ERROR(store_.Delete(BackupObject(kTombstones, tail)));
  }
  return absl::OkStatus();
}

absl::Status StoredBackups::LoadAll() {
  for (const char* kind : {kSnaps, kTrashedSnaps, kTombstones}) {
    EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> tails, ListTails(store_, kind));
    for (const std::string& tail : tails) EMBER_RETURN_IF_ERROR(LoadOne(kind, tail));
  }
  EMBER_ASSIGN_OR_RETURN(const auto chains, ReadChains(store_));
  const auto heads = state_.Heads();
  for (const auto& [domain_id, chain] : chains) {
    Domain& domain = DomainOf(domain_id);
    absl::MutexLock lock(&domain.mu);
    const auto& [sequence, link] = *chain.rbegin();
    // Of a record that cannot be read now the next one must still say what it was.
    const auto head = heads.find(domain_id);
    const bool known = head != heads.end() && head->second.sequence == sequence;
    domain.last_sha256 = !link.readable && known ? head->second.record_sha256 : link.sha256;
  }
  const std::vector<std::string> breaks = DescribeBreaks(chains, state_.Heads());
  for (const std::string& problem : breaks) LogError("vault", problem, {});
  {
    absl::MutexLock lock(&mu_);
    broken_chains_ = static_cast<int64_t>(breaks.size());
  }
  return RemoveOrphans(chains);
}

bool StoredBackups::IsEvidence(const std::string& tail,
                               const std::map<std::string, DomainChain>& chains) {
  const TailParts parts = PartsOfTail(tail);
  const auto heads = state_.Heads();
  const auto head = heads.find(parts.domain_id);
  const auto chain = chains.find(parts.domain_id);
  const bool was_newest = head != heads.end() && head->second.sequence == parts.sequence;
  if (chain == chains.end()) return was_newest;
  if (chain->second.contains(parts.sequence)) return false;  // a tombstone
  if (was_newest) return true;
  const auto next = chain->second.upper_bound(parts.sequence);
  const std::vector<uint64_t> broken = BrokenLinks(chain->second);
  return next != chain->second.end() &&
         std::binary_search(broken.begin(), broken.end(), next->first);
}

absl::Status StoredBackups::RemoveOrphans(const std::map<std::string, DomainChain>& chains) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> refs, ListTails(store_, kRefs));
  EMBER_ASSIGN_OR_RETURN(std::vector<std::string> owners, ListTails(store_, kSnaps));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> trash, ListTails(store_, kTrashedSnaps));
  owners.insert(owners.end(), trash.begin(), trash.end());
  std::sort(owners.begin(), owners.end());
  for (const std::string& tail : refs) {
    if (std::binary_search(owners.begin(), owners.end(), tail) || IsEvidence(tail, chains))
      continue;
    LogInfo("vault", "removing ids that no backup has", {{"backup", tail}});
    EMBER_RETURN_IF_ERROR(store_.Delete(BackupObject(kRefs, tail)));
  }
  return absl::OkStatus();
}

absl::Status StoredBackups::LoadOne(absl::string_view kind, const std::string& tail) {
  state_.RaiseTo({.sequence = PartsOfTail(tail).sequence});  // even when it is damaged
  if (kind == kTombstones) return LoadTombstone(tail);
  std::optional<Deletion> deletion;
  absl::StatusOr<std::string> bytes;
  if (kind == kTrashedSnaps) {
    auto trashed = ReadTrashed(store_, tail);
    if (trashed.ok()) {
      deletion = DeletionOf(*trashed);
      bytes = std::move(*trashed->mutable_record());
    } else {
      bytes = trashed.status();
    }
  } else {
    bytes = ReadObject(store_, BackupObject(kind, tail));
  }
  const auto record = bytes.ok() ? ParseBackup(tail, *bytes) : bytes.status();
  if (absl::IsFailedPrecondition(record.status())) return record.status();  // a newer Ember's
  if (!record.ok()) {
    NoteDamaged(kind, tail, record.status());
    return absl::OkStatus();
  }
  state_.RaiseTo(
      {.sequence = record->sequence(), .received = rpc::FromTimestamp(record->received())});
  if (deletion) state_.RaiseTo({.received = deletion->time});
  Remember(tail, *record, std::move(deletion));
  return absl::OkStatus();
}

absl::Status StoredBackups::LoadTombstone(const std::string& tail) {
  const auto tombstone = ReadTombstone(store_, tail);
  if (absl::IsFailedPrecondition(tombstone.status())) return tombstone.status();
  if (!tombstone.ok()) {
    NoteDamaged(kTombstones, tail, tombstone.status());
    return absl::OkStatus();
  }
  state_.RaiseTo({.received = rpc::FromTimestamp(tombstone->purged())});
  absl::MutexLock lock(&mu_);
  purged_[tombstone->backup_id()] = DeletionOf(*tombstone);
  by_session_.try_emplace(tombstone->session_id(), tombstone->backup_id());
  return absl::OkStatus();
}

void StoredBackups::NoteDamaged(absl::string_view kind, const std::string& tail,
                                const absl::Status& why) {
  LogError("vault", "a stored backup cannot be read",
           {{"file", BackupObject(kind, tail)}, {"why", why.message()}});
  absl::MutexLock lock(&mu_);
  damaged_.insert(tail);
}

void StoredBackups::Remember(const std::string& tail, const StoredBackupRecord& record,
                             std::optional<Deletion> deletion) {
  const absl::Time held =
      record.has_retain_until() ? rpc::FromTimestamp(record.retain_until()) : absl::InfinitePast();
  absl::MutexLock lock(&mu_);
  // A commit that failed at its very end and was repeated leaves two records of one backup; the
  // first counts.
  const bool is_new =
      entries_
          .try_emplace(record.backup_id(), Entry{.tail = tail,
                                                 .domain_id = record.domain_id(),
                                                 .session_id = record.session_id(),
                                                 .manifest_root = record.manifest_root(),
                                                 .refs_sha256 = record.refs_sha256(),
                                                 .received = rpc::FromTimestamp(record.received()),
                                                 .retain_until = held,
                                                 .deletion = std::move(deletion)})
          .second;
  if (is_new) by_session_[record.session_id()] = record.backup_id();
}

}  // namespace ember::vault
