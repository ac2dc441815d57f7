#include "common/vault/stored_backups.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"

namespace ember::vault {
namespace {

using format::v1::StoredBackupRecord;
using format::v1::Tombstone;
using format::v1::TrashedBackup;

Tombstone MakeTombstone(const StoredBackupRecord& record, const TrashedBackup& trashed,
                        absl::Time now) {
  Tombstone tombstone;
  tombstone.set_version(1);
  tombstone.set_backup_id(record.backup_id());
  tombstone.set_sequence(record.sequence());
  tombstone.set_record_sha256(Sha256(trashed.record()));
  tombstone.set_previous_sha256(record.previous_sha256());
  *tombstone.mutable_deleted() = trashed.deleted();
  *tombstone.mutable_purged() = rpc::ToTimestamp(now);
  tombstone.set_who(trashed.who());
  tombstone.set_why(trashed.why());
  tombstone.set_by_person(trashed.by_person());
  tombstone.set_session_id(record.session_id());
  return tombstone;
}

// `object` with these bytes, whatever an earlier attempt left under its name.
absl::Status Replace(ObjectStore& store, const std::string& object, const std::string& bytes) {
  const absl::Status put = PutObject(store, object, bytes);
  if (!absl::IsAlreadyExists(put)) return put;
  const auto there = ReadObject(store, object);
  if (there.ok() && *there == bytes) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(store.Delete(object));
  return PutObject(store, object, bytes);
}

// Like Delete; a removal that may not survive a power failure is good enough, since Load settles
// it.
absl::Status Remove(ObjectStore& store, const std::string& object) {
  const absl::Status deleted = store.Delete(object);
  return absl::IsNotFound(store.Size(object).status()) ? absl::OkStatus() : deleted;
}

}  // namespace

StoredBackups::Domain& StoredBackups::DomainOf(const std::string& domain_id) {
  absl::MutexLock lock(&mu_);
  std::unique_ptr<Domain>& domain = domains_[domain_id];
  if (domain == nullptr) domain = std::make_unique<Domain>();
  return *domain;
}

std::optional<StoredBackups::Entry> StoredBackups::Find(const std::string& backup_id) {
  absl::MutexLock lock(&mu_);
  const auto entry = entries_.find(backup_id);
  if (entry == entries_.end()) return std::nullopt;
  return entry->second;
}

std::map<std::string, StoredBackups::Entry> StoredBackups::All() {
  absl::MutexLock lock(&mu_);
  return entries_;
}

std::optional<Deletion> StoredBackups::FindPurged(const std::string& backup_id) {
  absl::MutexLock lock(&mu_);
  const auto purged = purged_.find(backup_id);
  if (purged == purged_.end()) return std::nullopt;
  return purged->second;
}

std::optional<std::string> StoredBackups::FindBySession(const std::string& session_id) {
  absl::MutexLock lock(&mu_);
  const auto backup = by_session_.find(session_id);
  if (backup == by_session_.end()) return std::nullopt;
  return backup->second;
}

std::map<std::string, uint64_t> StoredBackups::FirstUses() {
  std::map<std::string, uint64_t> uses;
  for (const auto& [id, entry] : All()) {
    const absl::StatusOr<StoredBackupRecord> record = GetWherever(id, entry);
    if (!record.ok()) continue;
    const auto note = [&](const std::string& session_id) {
      const auto [use, is_new] = uses.try_emplace(session_id, record->sequence());
      if (!is_new) use->second = std::min(use->second, record->sequence());
    };
    note(record->session_id());
    for (const std::string& session_id : record->sessions()) note(session_id);
  }
  return uses;
}

std::vector<std::string> StoredBackups::FindByRoot(absl::string_view domain_id,
                                                   absl::string_view manifest_root) {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> found;
  for (const auto& [id, entry] : entries_) {
    if (!entry.deletion && entry.manifest_root == manifest_root && entry.domain_id == domain_id)
      found.push_back(id);
  }
  return found;
}

absl::Status StoredBackups::Missing(const std::string& backup_id) {
  absl::MutexLock lock(&mu_);
  if (entries_.contains(backup_id)) {
    return WithHint(
        absl::NotFoundError(absl::StrCat("no backup '", backup_id, "': it is in the trash")),
        absl::StrCat("ember backup undelete ", backup_id));
  }
  if (const auto purged = purged_.find(backup_id); purged != purged_.end()) {
    return WithHint(absl::NotFoundError(absl::StrCat(
                        "no backup '", backup_id, "': it was deleted on ",
                        absl::FormatTime("%Y-%m-%d", purged->second.time, absl::UTCTimeZone()),
                        purged->second.who.empty() ? "" : " by ", purged->second.who)),
                    "ember backup list");
  }
  const auto id = ParseBackupId(backup_id);
  for (const std::string& tail : damaged_) {
    if (id.ok() && PartsOfTail(tail).stamp == id->stamp) {
      return Damaged(BackupObject(kSnaps, tail), "it may be the record of this backup");
    }
  }
  return BackupNotFound(backup_id);
}

absl::StatusOr<StoredBackupRecord> StoredBackups::Get(const std::string& backup_id) {
  const auto entry = Find(backup_id);
  if (!entry || entry->deletion) return Missing(backup_id);
  const auto bytes = ReadObject(store_, BackupObject(kSnaps, entry->tail));
  if (absl::IsNotFound(bytes.status())) {
    const auto now = Find(backup_id);
    if (!now || now->deletion) return Missing(backup_id);  // deleted meanwhile
  }
  EMBER_RETURN_IF_ERROR(bytes.status());
  return ParseBackup(entry->tail, *bytes);
}

absl::StatusOr<StoredBackupRecord> StoredBackups::GetWherever(const std::string& backup_id,
                                                              const Entry& entry) {
  if (!entry.deletion) return Get(backup_id);
  EMBER_ASSIGN_OR_RETURN(const TrashedBackup trashed, ReadTrashed(store_, entry.tail));
  return ParseBackup(entry.tail, trashed.record());
}

std::vector<StoredBackupRecord> StoredBackups::List(const std::string& workload) {
  std::vector<std::string> ids;
  {
    absl::MutexLock lock(&mu_);
    const std::string prefix = workload.empty() ? "" : absl::StrCat(workload, "/");
    for (auto entry = entries_.lower_bound(prefix); entry != entries_.end(); ++entry) {
      if (!absl::StartsWith(entry->first, prefix)) break;
      if (!entry->second.deletion) ids.push_back(entry->first);
    }
  }
  std::vector<StoredBackupRecord> records;
  for (const std::string& id : ids) {
    auto record = Get(id);
    if (record.ok()) {
      records.push_back(*std::move(record));
    } else if (!absl::IsNotFound(record.status())) {  // else deleted meanwhile
      LogError("vault", "a stored backup cannot be listed",
               {{"backup", id}, {"why", record.status().message()}});
    }
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.sequence() < b.sequence(); });
  return records;
}

absl::Status StoredBackups::ReadRefs(const std::string& backup_id, const PieceSink& sink) {
  EMBER_RETURN_IF_ERROR(Get(backup_id).status());
  const auto entry = Find(backup_id);
  if (!entry) return BackupNotFound(backup_id);
  return ReadRefSet(store_, entry->tail, entry->refs_sha256, sink);
}

absl::StatusOr<StoredBackupRecord> StoredBackups::Publish(StoredBackupRecord record,
                                                          const NewRefSet& ids, Clock& clock,
                                                          absl::Duration hold) {
  EMBER_ASSIGN_OR_RETURN(const BackupIdParts id, ParseBackupId(record.backup_id()));
  Domain& domain = DomainOf(record.domain_id());
  absl::MutexLock lock(&domain.mu);
  if (Find(record.backup_id()) || FindPurged(record.backup_id())) {
    return absl::AlreadyExistsError(
        absl::StrCat("backup ", record.backup_id(), " exists and is never overwritten"));
  }
  EMBER_ASSIGN_OR_RETURN(const VaultState::Stamp stamp, state_.NextStamp(clock.Now()));
  record.set_version(1);
  record.set_sequence(stamp.sequence);
  *record.mutable_received() = rpc::ToTimestamp(stamp.received);
  if (hold > absl::ZeroDuration())
    *record.mutable_retain_until() = rpc::ToTimestamp(stamp.received + hold);
  record.set_ids_total(ids.size());
  record.set_previous_sha256(domain.last_sha256);
  const std::string tail = BackupTail(record.domain_id(), stamp.sequence, id.stamp);
  EMBER_ASSIGN_OR_RETURN(*record.mutable_refs_sha256(), ids.Publish(store_, tail));
  const std::string bytes = Frame(kBackupMagic, record.SerializeAsString());
  // On failure the ids stay until the vault is opened again: only then is it certain that the
  // record is not there.
  EMBER_RETURN_IF_ERROR(PutObject(store_, BackupObject(kSnaps, tail), bytes));
  domain.last_sha256 = Sha256(bytes);
  state_.SetHead(record.domain_id(),
                 {.sequence = stamp.sequence, .record_sha256 = domain.last_sha256});
  Remember(tail, record, std::nullopt);
  return record;
}

absl::Status StoredBackups::MoveToTrash(const std::string& backup_id, const Deletion& deletion) {
  absl::MutexLock change(&change_mu_);
  const auto entry = Find(backup_id);
  if (!entry) return Missing(backup_id);
  const std::string snaps = BackupObject(kSnaps, entry->tail);
  // What a failed attempt, or a failed Undelete, may have left there would win over the trash.
  if (entry->deletion) return store_.Delete(snaps);
  EMBER_ASSIGN_OR_RETURN(std::string bytes, ReadObject(store_, snaps));
  EMBER_RETURN_IF_ERROR(ParseBackup(entry->tail, bytes).status());
  TrashedBackup trashed;
  trashed.set_version(1);
  trashed.set_record(std::move(bytes));
  *trashed.mutable_deleted() = rpc::ToTimestamp(deletion.time);
  trashed.set_by_person(deletion.by_person);
  trashed.set_who(deletion.who);
  trashed.set_why(deletion.why);
  EMBER_RETURN_IF_ERROR(Replace(store_, BackupObject(kTrashedSnaps, entry->tail),
                                Frame(kTrashMagic, trashed.SerializeAsString())));
  state_.RaiseTo({.received = deletion.time});
  const absl::Status removed = store_.Delete(snaps);
  if (!removed.ok() && !absl::IsNotFound(store_.Size(snaps).status())) return removed;
  absl::MutexLock lock(&mu_);
  entries_.at(backup_id).deletion = deletion;
  return removed;  // an error: it is gone, but a power failure may bring it back
}

absl::Status StoredBackups::Undelete(const std::string& backup_id) {
  absl::MutexLock change(&change_mu_);
  const auto entry = Find(backup_id);
  if (!entry) return Missing(backup_id);
  if (!entry->deletion) return absl::OkStatus();
  EMBER_ASSIGN_OR_RETURN(const TrashedBackup trashed, ReadTrashed(store_, entry->tail));
  EMBER_RETURN_IF_ERROR(ParseBackup(entry->tail, trashed.record()).status());
  EMBER_RETURN_IF_ERROR(Replace(store_, BackupObject(kSnaps, entry->tail), trashed.record()));
  EMBER_RETURN_IF_ERROR(Remove(store_, BackupObject(kTrashedSnaps, entry->tail)));
  absl::MutexLock lock(&mu_);
  entries_.at(backup_id).deletion.reset();
  return absl::OkStatus();
}

absl::Status StoredBackups::Purge(const std::string& backup_id, absl::Time now) {
  absl::MutexLock change(&change_mu_);
  const auto entry = Find(backup_id);
  if (!entry) return FindPurged(backup_id) ? absl::OkStatus() : Missing(backup_id);
  if (!entry->deletion)
    return absl::FailedPreconditionError(absl::StrCat("backup ", backup_id, " is not deleted"));
  EMBER_ASSIGN_OR_RETURN(const TrashedBackup trashed, ReadTrashed(store_, entry->tail));
  EMBER_ASSIGN_OR_RETURN(const StoredBackupRecord record,
                         ParseBackup(entry->tail, trashed.record()));
  // What a failed Undelete may have left there would win over the tombstone.
  EMBER_RETURN_IF_ERROR(store_.Delete(BackupObject(kSnaps, entry->tail)));
  const Tombstone tombstone = MakeTombstone(record, trashed, now);
  EMBER_RETURN_IF_ERROR(Replace(store_, BackupObject(kTombstones, entry->tail),
                                Frame(kTombstoneMagic, tombstone.SerializeAsString())));
  state_.RaiseTo({.received = now});
  EMBER_RETURN_IF_ERROR(Remove(store_, BackupObject(kTrashedSnaps, entry->tail)));
  {
    absl::MutexLock lock(&mu_);
    entries_.erase(backup_id);
    purged_[backup_id] = *entry->deletion;
  }
  return Remove(store_, BackupObject(kRefs, entry->tail));
}

int64_t StoredBackups::CountDeletedByRule(absl::Time since) {
  absl::MutexLock lock(&mu_);
  const auto counts = [since](const Deletion& deletion) {
    return !deletion.by_person && deletion.time > since;
  };
  int64_t count = 0;
  for (const auto& [id, entry] : entries_) count += entry.deletion && counts(*entry.deletion);
  for (const auto& [id, deletion] : purged_) count += counts(deletion);
  return count;
}

absl::StatusOr<std::vector<std::string>> StoredBackups::CheckChains() {
  absl::MutexLock change(&change_mu_);
  const auto heads = state_.Heads();
  EMBER_ASSIGN_OR_RETURN(const auto chains, ReadChains(store_));
  std::vector<std::string> breaks = DescribeBreaks(chains, heads);
  absl::MutexLock lock(&mu_);
  broken_chains_ = static_cast<int64_t>(breaks.size());
  return breaks;
}

int64_t StoredBackups::size() {
  absl::MutexLock lock(&mu_);
  return std::count_if(entries_.begin(), entries_.end(),
                       [](const auto& entry) { return !entry.second.deletion; });
}

int64_t StoredBackups::trashed() {
  absl::MutexLock lock(&mu_);
  return std::count_if(entries_.begin(), entries_.end(),
                       [](const auto& entry) { return entry.second.deletion.has_value(); });
}

int64_t StoredBackups::damaged() {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(damaged_.size());
}

int64_t StoredBackups::broken_chains() {
  absl::MutexLock lock(&mu_);
  return broken_chains_;
}

}  // namespace ember::vault
