#include "common/vault/stored_backups.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
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

constexpr char kSnaps[] = "snaps";
constexpr char kRefs[] = "refs";
constexpr size_t kSequenceDigits = 20;

// "domain/sequence-stamp", the part that a record and its ids have in common.
std::string TailOf(absl::string_view object) {
  return std::string(object.substr(object.find('/') + 1));
}

// The stamp in an object's name: all that a damaged record still tells.
absl::string_view StampOf(absl::string_view object) {
  const absl::string_view name = object.substr(object.rfind('/') + 1);
  return name.size() > kSequenceDigits + 1 ? name.substr(kSequenceDigits + 1) : absl::string_view();
}

absl::StatusOr<std::string> ReadObject(ObjectStore& store, const std::string& object) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  return store.Read(object, 0, size);
}

absl::Status CheckRecord(const std::string& object, const StoredBackupRecord& record) {
  const std::vector<std::string> parts = absl::StrSplit(object, '/');
  const auto id = ParseBackupId(record.backup_id());
  if (!id.ok() || id->workload != record.workload() || parts.size() != 3 ||
      parts[1] != record.domain_id() ||
      parts[2] != absl::StrFormat("%020d-%s", record.sequence(), id->stamp)) {
    return Damaged(object, "it is not the backup that its name says");
  }
  return absl::OkStatus();
}

std::string JoinIds(const std::vector<std::string>& ids) {
  std::string joined;
  joined.reserve(ids.size() * kRecordIdBytes);
  for (const std::string& id : ids) joined += id;
  return joined;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoredBackups>> StoredBackups::Load(ObjectStore& store,
                                                                   VaultState& state) {
  std::unique_ptr<StoredBackups> backups(new StoredBackups(store, state));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> objects, store.List(kSnaps));
  for (const std::string& object : objects) EMBER_RETURN_IF_ERROR(backups->LoadOne(object));
  EMBER_RETURN_IF_ERROR(backups->RemoveOrphans(objects));
  return backups;
}

absl::Status StoredBackups::RemoveOrphans(const std::vector<std::string>& objects) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> refs, store_.List(kRefs));
  for (const std::string& object : refs) {
    const std::string record = absl::StrCat(kSnaps, "/", TailOf(object));
    if (std::binary_search(objects.begin(), objects.end(), record)) continue;
    LogInfo("vault", "removing the ids of a commit that did not complete", {{"file", object}});
    EMBER_RETURN_IF_ERROR(store_.Delete(object));
  }
  return absl::OkStatus();
}

absl::Status StoredBackups::LoadOne(const std::string& object) {
  const std::vector<std::string> parts = absl::StrSplit(object, '/');
  const auto bytes = ReadObject(store_, object);
  if (bytes.ok() && parts.size() == 3) {
    Domain& domain = DomainOf(parts[1]);
    absl::MutexLock lock(&domain.mu);
    domain.last_sha256 = Sha256(*bytes);  // names sort by sequence, so the last one stays
  }
  const auto record = ReadRecord(object);
  if (absl::IsFailedPrecondition(record.status())) return record.status();  // a newer Ember's
  if (!record.ok()) {
    LogError("vault", "a stored backup cannot be read",
             {{"file", object}, {"why", record.status().message()}});
    absl::MutexLock lock(&mu_);
    damaged_.insert(object);
    return absl::OkStatus();
  }
  state_.RaiseTo(
      {.sequence = record->sequence(), .received = rpc::FromTimestamp(record->received())});
  Remember(object, *record);
  return absl::OkStatus();
}

absl::StatusOr<StoredBackupRecord> StoredBackups::ReadRecord(const std::string& object) {
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store_, object));
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body, Unframe(kBackupMagic, bytes, object));
  StoredBackupRecord record;
  if (!record.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Damaged(object, "it does not parse");
  EMBER_RETURN_IF_ERROR(CheckRecord(object, record));
  return record;
}

void StoredBackups::Remember(const std::string& object, const StoredBackupRecord& record) {
  absl::MutexLock lock(&mu_);
  // A commit that failed at its very end and was repeated leaves two records of one backup; the
  // first counts.
  const bool is_new =
      entries_
          .try_emplace(record.backup_id(), Entry{.object = object,
                                                 .domain_id = record.domain_id(),
                                                 .session_id = record.session_id(),
                                                 .manifest_root = record.manifest_root()})
          .second;
  if (is_new) by_session_[record.session_id()] = record.backup_id();
}

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

std::optional<std::string> StoredBackups::FindBySession(const std::string& session_id) {
  absl::MutexLock lock(&mu_);
  const auto backup = by_session_.find(session_id);
  if (backup == by_session_.end()) return std::nullopt;
  return backup->second;
}

std::vector<std::string> StoredBackups::FindByRoot(absl::string_view domain_id,
                                                   absl::string_view manifest_root) {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> found;
  for (const auto& [id, entry] : entries_) {
    if (entry.manifest_root == manifest_root && entry.domain_id == domain_id) found.push_back(id);
  }
  return found;
}

absl::StatusOr<StoredBackupRecord> StoredBackups::Get(const std::string& backup_id) {
  if (const auto entry = Find(backup_id)) return ReadRecord(entry->object);
  const auto id = ParseBackupId(backup_id);
  if (!id.ok()) return BackupNotFound(backup_id);
  absl::MutexLock lock(&mu_);
  for (const std::string& object : damaged_) {
    if (StampOf(object) == id->stamp) return Damaged(object, "it may be the record of this backup");
  }
  return BackupNotFound(backup_id);
}

std::vector<StoredBackupRecord> StoredBackups::List(const std::string& workload) {
  std::vector<std::string> objects;
  {
    absl::MutexLock lock(&mu_);
    const std::string prefix = workload.empty() ? "" : absl::StrCat(workload, "/");
    for (auto entry = entries_.lower_bound(prefix); entry != entries_.end(); ++entry) {
      if (!absl::StartsWith(entry->first, prefix)) break;
      objects.push_back(entry->second.object);
    }
  }
  std::vector<StoredBackupRecord> records;
  for (const std::string& object : objects) {
    auto record = ReadRecord(object);
    if (record.ok()) {
      records.push_back(*std::move(record));
    } else {
      LogError("vault", "a stored backup cannot be listed",
               {{"file", object}, {"why", record.status().message()}});
    }
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.sequence() < b.sequence(); });
  return records;
}

absl::StatusOr<std::string> StoredBackups::ReadRefs(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const StoredBackupRecord record, Get(backup_id));
  const auto entry = Find(backup_id);
  if (!entry) return BackupNotFound(backup_id);
  const std::string object = absl::StrCat(kRefs, "/", TailOf(entry->object));
  auto bytes = ReadObject(store_, object);
  if (absl::IsNotFound(bytes.status())) return Damaged(object, "it is missing");
  EMBER_RETURN_IF_ERROR(bytes.status());
  EMBER_ASSIGN_OR_RETURN(const absl::string_view ids, Unframe(kRefsMagic, *bytes, object));
  if (ids.size() != record.ids_total() * kRecordIdBytes || Sha256(*bytes) != record.refs_sha256()) {
    return Damaged(object, "it is not what was committed");
  }
  return std::string(ids);
}

absl::StatusOr<StoredBackupRecord> StoredBackups::Publish(StoredBackupRecord record,
                                                          const std::vector<std::string>& ids,
                                                          Clock& clock) {
  EMBER_ASSIGN_OR_RETURN(const BackupIdParts id, ParseBackupId(record.backup_id()));
  const std::string refs = Frame(kRefsMagic, JoinIds(ids));
  Domain& domain = DomainOf(record.domain_id());
  absl::MutexLock lock(&domain.mu);
  if (Find(record.backup_id())) {
    return absl::AlreadyExistsError(
        absl::StrCat("backup ", record.backup_id(), " exists and is never overwritten"));
  }
  EMBER_ASSIGN_OR_RETURN(const VaultState::Stamp stamp, state_.NextStamp(clock.Now()));
  record.set_version(1);
  record.set_sequence(stamp.sequence);
  *record.mutable_received() = rpc::ToTimestamp(stamp.received);
  record.set_ids_total(ids.size());
  record.set_refs_sha256(Sha256(refs));
  record.set_previous_sha256(domain.last_sha256);
  const std::string tail =
      absl::StrFormat("%s/%020d-%s", record.domain_id(), stamp.sequence, id.stamp);
  EMBER_RETURN_IF_ERROR(PutObject(store_, absl::StrCat(kRefs, "/", tail), refs));
  const std::string object = absl::StrCat(kSnaps, "/", tail);
  const std::string bytes = Frame(kBackupMagic, record.SerializeAsString());
  // On failure the ids stay until the vault is opened again: only then is it certain that the
  // record is not there.
  EMBER_RETURN_IF_ERROR(PutObject(store_, object, bytes));
  domain.last_sha256 = Sha256(bytes);
  Remember(object, record);
  return record;
}

int64_t StoredBackups::size() {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(entries_.size());
}

int64_t StoredBackups::damaged() {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(damaged_.size());
}

}  // namespace ember::vault
