#include "common/vault/check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/backup_objects.h"
#include "common/vault/domain_boxes.h"
#include "common/vault/job.h"
#include "common/vault/pack.h"
#include "common/vault/record_reader.h"
#include "common/vault/ref_set.h"
#include "common/vault/repair.h"
#include "common/vault/request_check.h"

namespace ember::vault {
namespace {

using format::v1::PackFooter;
using format::v1::PackRecord;

// The whole object; what a disk does not give any more is zeroes, so that the rest can be used.
absl::StatusOr<std::string> ReadWhatCanBeRead(ObjectStore& store, const std::string& object) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  if (size > kPackBytesMax) return absl::DataLossError("it is larger than a pack can be");
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const uint64_t at = bytes.size();
    const size_t piece = std::min<uint64_t>(size - at, kReadRangeBytesMax);
    if (auto read = store.Read(object, at, piece); read.ok()) {
      bytes += *read;
      continue;
    }
    for (uint64_t sector = at; sector < at + piece; sector += kParitySliceBytesMin) {
      const size_t part = std::min<uint64_t>(kParitySliceBytesMin, at + piece - sector);
      const auto read = store.Read(object, sector, part);
      bytes += read.ok() ? *read : std::string(part, '\0');
    }
  }
  return bytes;
}

}  // namespace

absl::StatusOr<v1::VaultResult> Check::Run(const v1::CheckJob& job) {
  if (job.repair() && !job.read_data())
    return absl::FailedPreconditionError("a repair needs a check that reads the data");
  if (context_.other != nullptr && !job.repair())
    return absl::FailedPreconditionError("healing from another vault is a repair");
  EMBER_RETURN_IF_ERROR(FindLostPacks());
  if (job.read_data()) EMBER_RETURN_IF_ERROR(ReadPacks(job.repair()));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> breaks, parts_.backups.CheckChains());
  for (const std::string& sentence : breaks) NoteProblem(sentence);
  const std::map<std::string, StoredBackups::Entry> backups = parts_.backups.All();
  // All are healed before one is judged: a record of one may be in another of the other vault.
  if (context_.other != nullptr) {
    for (const auto& [id, entry] : backups) EMBER_RETURN_IF_ERROR(HealBackup(id, entry));
  }
  for (const auto& [id, entry] : backups) EMBER_RETURN_IF_ERROR(CheckBackup(id, entry));
  EMBER_RETURN_IF_ERROR(CheckBoxes(backups));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> exports, parts_.exports.FindDamaged());
  for (const std::string& name : exports) {
    NoteProblem(absl::StrCat("the catalog export ", name,
                             " is damaged: a lost controller is made anew from another one"));
  }
  for (const auto& [id, entry] : parts_.backups.All())
    if (!backups.contains(id)) some_needs_unknown_ = true;
  if (parts_.backups.damaged() > 0) {
    some_needs_unknown_ = true;
    NoteProblem(absl::StrCat(parts_.backups.damaged(), " stored backups have a damaged record"));
  }
  EMBER_RETURN_IF_ERROR(SettleDamagedPacks(job.repair()));
  EMBER_RETURN_IF_ERROR(FindStrangers());
  // A pack may have been found whole that was put there by a repair which then failed.
  EMBER_RETURN_IF_ERROR(parts_.copies.store.SyncNames());
  absl::MutexLock lock(&mu_);
  return result_;
}

// The keys to a domain for whoever has the recovery kit.
absl::Status Check::CheckBoxes(const std::map<std::string, StoredBackups::Entry>& backups) {
  std::map<std::string, std::string> backup_of;  // by domain, any
  for (const auto& [id, entry] : backups) backup_of[entry.domain_id] = id;
  for (const auto& [domain, backup] : backup_of) {
    absl::Status read = ReadDomainBoxes(parts_.copies.store, domain).status();
    if (!read.ok() && context_.other != nullptr) {
      const auto other = context_.other->GetBackup(backup);
      if (absl::IsUnavailable(other.status())) return other.status();
      if (other.ok()) {
        absl::MutexLock lock(&parts_.boxes_mu);
        EMBER_RETURN_IF_ERROR(
            PutDomainBoxes(parts_.copies.store, domain, other->estate_id(),
                           {other->recovery_boxes().begin(), other->recovery_boxes().end()}));
        read = ReadDomainBoxes(parts_.copies.store, domain).status();
      }
    }
    if (read.ok()) continue;
    NoteProblem(absl::StrCat("the recovery boxes of domain ", domain, " cannot be read (",
                             read.message(),
                             "): the recovery kit would not open its backups; the next backup of "
                             "its node stores them again"));
  }
  return absl::OkStatus();
}

void Check::NoteProblem(absl::string_view problem) {
  LogError("vault", "a check found a problem", {{"problem", problem}});
  absl::MutexLock lock(&mu_);
  AddProblem(result_, problem);
}

absl::Status Check::FindLostPacks() {
  for (const ChunkIndex::PackFacts& pack : parts_.copies.index.Packs()) {
    const auto size = parts_.copies.store.Size(PackObject(pack.name));
    if (!size.ok() && !absl::IsNotFound(size.status())) return size.status();
    if (size.ok() && *size == pack.size) continue;
    if (size.ok()) {
      NoteProblem(absl::StrCat("pack ", pack.name, " has another size"));
    } else {
      lost_packs_.insert(pack.number);
      damaged_packs_[pack.number] = {pack, " is gone"};
    }
  }
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> objects, parts_.copies.store.List("packs"));
  for (const std::string& object : objects) {
    std::string name = PackNameOf(object);
    if (name.empty() || parts_.copies.trash.Contains(name)) continue;
    const auto size = parts_.copies.store.Size(object);
    if (size.ok()) bytes_total_ += static_cast<int64_t>(*size);
    packs_.push_back(std::move(name));
  }
  absl::MutexLock lock(&mu_);
  result_.set_packs_total(static_cast<int64_t>(packs_.size()));
  result_.set_bytes_total(bytes_total_);
  return absl::OkStatus();
}

absl::Status Check::ReadPacks(bool repair) {
  const auto work = [this, repair]() -> absl::Status {
    while (true) {
      EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
      std::string name;
      {
        absl::MutexLock lock(&mu_);
        if (next_pack_ == packs_.size()) return absl::OkStatus();
        name = packs_[next_pack_++];
        ReportProgress(context_, "reading", result_.bytes_read(), bytes_total_);
      }
      EMBER_RETURN_IF_ERROR(ReadPack(name, repair));
    }
  };
  // One hashes while the other waits for the disk.
  absl::Status second;
  std::thread thread([&] { second = work(); });
  const absl::Status first = work();
  thread.join();
  EMBER_RETURN_IF_ERROR(first);
  return second;
}

absl::Status Check::ReadPack(const std::string& name, bool repair) {
  const std::string object = PackObject(name);
  const auto size = parts_.copies.store.Size(object);
  if (absl::IsNotFound(size.status())) return absl::OkStatus();  // FindLostPacks has said so
  EMBER_RETURN_IF_ERROR(size.status());
  EMBER_ASSIGN_OR_RETURN(const bool intact, HashPack(name, *size));
  {
    absl::MutexLock lock(&mu_);
    result_.set_packs_checked(result_.packs_checked() + 1);
    result_.set_bytes_read(result_.bytes_read() + static_cast<int64_t>(*size));
  }
  if (!intact) {
    const auto bytes = ReadWhatCanBeRead(parts_.copies.store, object);
    return HandleDamage(name, bytes.ok() ? *bytes : "", repair);
  }
  // What has its checksum for a name is as it was written, every record of it.
  EMBER_ASSIGN_OR_RETURN(const PackFooter table, ReadPackFooter(parts_.copies.store, name));
  return CompareWithIndex(name, table, repair);
}

absl::StatusOr<bool> Check::HashPack(const std::string& name, uint64_t size) {
  return IsWholePack(parts_.copies.store, name, size, [this] { return CheckCancelled(context_); });
}

absl::Status Check::HandleDamage(const std::string& name, const std::string& bytes, bool repair) {
  EMBER_RETURN_IF_ERROR(NoteDamagedRecords(name, bytes));
  absl::Status repaired = absl::DataLossError("its name is not its checksum");
  if (repair) repaired = RepairStoredPack(parts_.copies.store, name, bytes);
  if (!repaired.ok()) {
    NoteDamagedPack(name, absl::StrCat(" is damaged: ", repaired.message()));
    return absl::OkStatus();
  }
  LogInfo("vault", "a pack was repaired from its parity", {{"pack", name}});
  EMBER_ASSIGN_OR_RETURN(const PackFooter table, ReadPackFooter(parts_.copies.store, name));
  for (const PackRecord& record : table.records()) {
    absl::MutexLock lock(&mu_);
    if (bad_.erase(record.id().substr(0, kIndexPrefixBytes)) != 0)
      result_.set_records_repaired(result_.records_repaired() + 1);
  }
  return CompareWithIndex(name, table, repair);
}

void Check::NoteDamagedPack(const std::string& name, const std::string& why) {
  const auto pack = FindPack(name);
  if (!pack) return NoteProblem(absl::StrCat("pack ", name, why));
  absl::MutexLock lock(&mu_);
  damaged_packs_[pack->number] = {*pack, why};
}

std::optional<ChunkIndex::PackFacts> Check::FindPack(const std::string& name) {
  for (ChunkIndex::PackFacts& pack : parts_.copies.index.Packs())
    if (pack.name == name) return std::move(pack);
  return std::nullopt;
}

// Copies may have made a pack anew that was damaged or lost: it has the same bytes, and so the same
// name and the same entries.
absl::Status Check::NoteRewritten(const std::vector<BadRecord>& records) {
  std::set<uint32_t> packs;
  for (const BadRecord& record : records)
    if (record.pack) packs.insert(*record.pack);
  for (const uint32_t pack : packs) {
    EMBER_ASSIGN_OR_RETURN(const bool whole, IsWholeAgain(pack));
    if (!whole) continue;
    lost_packs_.erase(pack);
    damaged_packs_.erase(pack);
    absl::MutexLock lock(&mu_);
    absl::erase_if(bad_, [pack](const auto& entry) { return entry.second == pack; });
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Check::IsWholeAgain(uint32_t pack) {
  if (!damaged_packs_.contains(pack)) return false;
  const std::string& name = damaged_packs_.at(pack).facts.name;
  const auto size = parts_.copies.store.Size(PackObject(name));
  if (absl::IsNotFound(size.status())) return false;
  EMBER_RETURN_IF_ERROR(size.status());
  return HashPack(name, *size);
}

// Packs of which all that is needed is intact, or has another copy by now, are replaced by what is
// intact in them; the others stay, and are problems.
absl::Status Check::SettleDamagedPacks(bool repair) {
  std::vector<ChunkIndex::PackFacts> settled;
  for (const auto& [number, pack] : damaged_packs_) {
    if (!repair || some_needs_unknown_ || needed_packs_.contains(number)) continue;
    EMBER_RETURN_IF_ERROR(CondemnDamaged(number));
    settled.push_back(pack.facts);
  }
  v1::VaultResult rewritten;
  EMBER_RETURN_IF_ERROR(parts_.rewrite(settled, rewritten));
  for (const std::string& problem : rewritten.problems()) NoteProblem(problem);
  const std::vector<ChunkIndex::PackFacts> left = parts_.copies.index.Packs();
  for (const ChunkIndex::PackFacts& pack : left) {
    const auto damaged = damaged_packs_.find(pack.number);
    if (damaged != damaged_packs_.end())
      NoteProblem(absl::StrCat("pack ", pack.name, damaged->second.why));
  }
  return absl::OkStatus();
}

// Entries that no backup needs and that lead to nothing: garbage.
absl::Status Check::CondemnDamaged(uint32_t pack) {
  std::vector<std::string> prefixes;
  if (lost_packs_.contains(pack)) {
    EMBER_RETURN_IF_ERROR(parts_.copies.index.Scan(
        "", "", [&](absl::string_view prefix, const Location& location) -> absl::Status {
          if (location.pack == pack) prefixes.emplace_back(prefix);
          return CheckCancelled(context_);
        }));
  } else {
    absl::MutexLock lock(&mu_);
    for (const auto& [prefix, in_pack] : bad_) {
      if (in_pack == pack) prefixes.push_back(prefix);
    }
  }
  for (size_t begin = 0; begin < prefixes.size(); begin += kCondemnBatch) {
    const size_t end = std::min(prefixes.size(), begin + kCondemnBatch);
    EMBER_RETURN_IF_ERROR(
        parts_.copies.index
            .Condemn({prefixes.begin() + begin, prefixes.begin() + end},
                     [pack](const Location& location) { return location.pack == pack; })
            .status());
  }
  return absl::OkStatus();
}

// The index leads to records of this pack: only those it leads to are what damage costs.
absl::Status Check::NoteDamagedRecords(const std::string& name, absl::string_view bytes) {
  const auto pack = FindPack(name);
  if (!pack) return absl::OkStatus();
  const auto footer = ParsePackEnd(bytes);
  const auto table = footer.ok() ? *footer : ScanPackBytes(bytes);
  std::map<std::string, std::string> whole_ids;  // by prefix
  for (const PackRecord& record : table.records())
    whole_ids[record.id().substr(0, kIndexPrefixBytes)] = record.id();
  return parts_.copies.index.Scan(
      "", "", [&](absl::string_view prefix, const Location& location) -> absl::Status {
        if (location.pack != pack->number) return absl::OkStatus();
        const auto record = location.offset <= bytes.size()
                                ? ParseRecord(bytes.substr(location.offset))
                                : absl::StatusOr<RecordView>(absl::DataLossError("cut off"));
        if (record.ok() && record->id.substr(0, kIndexPrefixBytes) == prefix)
          return absl::OkStatus();
        const auto id = whole_ids.find(std::string(prefix));
        if (id != whole_ids.end()) parts_.copies.damaged.Add(id->second);
        absl::MutexLock lock(&mu_);
        bad_[std::string(prefix)] = location.pack;
        return absl::OkStatus();
      });
}

// Of an intact pack. An index that was made anew while it was damaged lacks what could not be read
// then, or leads to a copy in its parity.
absl::Status Check::CompareWithIndex(const std::string& name, const PackFooter& table,
                                     bool repair) {
  std::map<uint64_t, const PackRecord*> by_offset;
  for (const PackRecord& record : table.records()) by_offset[record.offset()] = &record;
  int64_t wrong = 0;
  bool lacks_some = false;
  for (int begin = 0; begin < table.records_size(); begin += kIndexLookupBatch) {
    const int end = std::min<int>(table.records_size(), begin + kIndexLookupBatch);
    std::vector<absl::string_view> ids;
    for (int i = begin; i < end; ++i) ids.push_back(table.records(i).id());
    EMBER_ASSIGN_OR_RETURN(const auto found, parts_.copies.index.Find(ids));
    for (int i = begin; i < end; ++i) {
      const auto& location = found[static_cast<size_t>(i - begin)];
      lacks_some = lacks_some || !location;
      if (!location || parts_.copies.index.PackName(location->pack) != name) continue;
      const std::string& id = table.records(i).id();
      const auto row = by_offset.find(location->offset);
      if (row == by_offset.end() || row->second->id() != id ||
          row->second->length() != location->length) {
        ++wrong;
      } else if (parts_.copies.damaged.Contains(id)) {
        parts_.copies.damaged.Remove(id);  // it was only unreadable for a while, or was repaired
      }
    }
  }
  if (repair && (wrong > 0 || lacks_some)) {
    EMBER_ASSIGN_OR_RETURN(const uint64_t size, parts_.copies.store.Size(PackObject(name)));
    EMBER_RETURN_IF_ERROR(parts_.copies.index.AddPackAgain(
        name, size, table, [this](const Location& location, absl::string_view id) {
          return IsRecordIntact(parts_.copies.store, parts_.copies.index, location, id);
        }));
    LogInfo("vault", "a pack was entered into the index again", {{"pack", name}});
    return CompareWithIndex(name, table, false);
  }
  {
    absl::MutexLock lock(&mu_);
    result_.set_records_checked(result_.records_checked() + table.records_size());
  }
  if (wrong > 0) {
    NoteProblem(absl::StrCat("the index is wrong about ", wrong, " records of pack ", name,
                             ": it must be made anew"));
  }
  return absl::OkStatus();
}

// Calls `visit` with the ids of a backup, a piece at a time. What is wrong with its record or its
// reference set is put into `wrong`, also when `visit` has seen ids by then; an error is of
// `visit`.
absl::Status Check::VisitIds(const std::string& backup_id, const StoredBackups::Entry& entry,
                             const std::function<absl::Status(std::vector<std::string> ids)>& visit,
                             absl::Status& wrong) {
  wrong = parts_.backups.GetWherever(backup_id, entry).status();
  if (!wrong.ok()) return absl::OkStatus();
  absl::Status visited;
  wrong = ReadRefSet(parts_.copies.store, entry.tail, entry.refs_sha256,
                     [&](absl::string_view joined) -> absl::Status {
                       visited = CheckCancelled(context_);
                       const std::vector<absl::string_view> ids = SplitIds(joined);
                       if (visited.ok()) visited = visit({ids.begin(), ids.end()});
                       return visited;
                     });
  return visited;
}

absl::Status Check::HealBackup(const std::string& backup_id, const StoredBackups::Entry& entry) {
  std::vector<BadRecord> bad;
  absl::Status wrong;  // is judged later
  EMBER_RETURN_IF_ERROR(VisitIds(
      backup_id, entry,
      [&](std::vector<std::string> ids) -> absl::Status {
        EMBER_ASSIGN_OR_RETURN(std::vector<BadRecord> found, FindBad(ids, entry.domain_id));
        std::move(found.begin(), found.end(), std::back_inserter(bad));
        return absl::OkStatus();
      },
      wrong));
  return bad.empty() ? absl::OkStatus() : Heal(backup_id, entry.domain_id, bad);
}

absl::Status Check::CheckBackup(const std::string& backup_id, const StoredBackups::Entry& entry) {
  int64_t bad = 0;
  absl::Status wrong;
  EMBER_RETURN_IF_ERROR(VisitIds(
      backup_id, entry,
      [&](std::vector<std::string> ids) { return JudgeIds(ids, entry.domain_id, bad); }, wrong));
  if (!wrong.ok()) some_needs_unknown_ = true;
  if (wrong.ok() && bad == 0) return absl::OkStatus();
  const auto now = parts_.backups.Find(backup_id);
  if (!now || now->deletion.has_value() != entry.deletion.has_value())
    return absl::OkStatus();  // deleted, or had back, meanwhile: it is where it was looked for no
                              // more
  NoteProblem(absl::StrCat("backup ", backup_id, ": ",
                           wrong.ok() ? absl::StrCat(bad, " of its records are damaged or missing")
                                      : std::string(wrong.message())));
  absl::MutexLock lock(&mu_);
  result_.add_damaged_backups(backup_id);
  return absl::OkStatus();
}

absl::Status Check::JudgeIds(const std::vector<std::string>& ids, const std::string& domain_id,
                             int64_t& bad) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<BadRecord> found, FindBad(ids, domain_id));
  for (const BadRecord& record : found) {
    ++bad;
    if (record.pack) needed_packs_.insert(*record.pack);
    absl::MutexLock lock(&mu_);
    // Each record once, however many backups need it.
    if (reported_.insert(record.id.substr(0, kIndexPrefixBytes)).second)
      result_.set_records_damaged(result_.records_damaged() + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Check::BadRecord>> Check::FindBad(const std::vector<std::string>& ids,
                                                             const std::string& domain_id) {
  EMBER_ASSIGN_OR_RETURN(const auto found, parts_.copies.index.Find({ids.begin(), ids.end()}));
  std::vector<BadRecord> bad;
  for (size_t i = 0; i < ids.size(); ++i) {
    bool lost = false;
    if (found[i]) {
      absl::MutexLock lock(&mu_);
      const auto known_bad = bad_.find(ids[i].substr(0, kIndexPrefixBytes));
      lost = lost_packs_.contains(found[i]->pack) ||
             (known_bad != bad_.end() && known_bad->second == found[i]->pack);
    }
    if (found[i] && !lost && !parts_.copies.damaged.Contains(ids[i]) &&
        parts_.copies.index.SessionOf(found[i]->session).domain_id() == domain_id)
      continue;
    if (lost) parts_.copies.damaged.Add(ids[i]);
    BadRecord& record = bad.emplace_back(BadRecord{.id = ids[i]});
    if (found[i]) record.pack = found[i]->pack;
  }
  return bad;
}

// What the other vault has of these is here, too, when OK. What it has not stays as it is.
absl::Status Check::Heal(const std::string& backup_id, const std::string& domain_id,
                         const std::vector<BadRecord>& records) {
  const auto backup = context_.other->GetBackup(backup_id);
  const absl::Status usable = backup.ok() ? CheckReplica(*backup) : backup.status();
  if (absl::IsUnavailable(usable) || absl::IsCancelled(usable)) return usable;
  if (!usable.ok() || backup->domain_id() != domain_id) return absl::OkStatus();
  std::vector<format::v1::PackSession> sessions = SessionsOf(*backup);
  std::erase_if(sessions, [this](const format::v1::PackSession& session) {
    return !FitsKnownSession(parts_.copies.index, session);
  });
  std::vector<std::string> ids;
  for (const BadRecord& record : records) ids.push_back(record.id);
  RecordCopier copier(parts_.copies, *context_.other, std::move(sessions), [this](int64_t bytes) {
    absl::MutexLock lock(&mu_);
    result_.set_bytes_copied(result_.bytes_copied() + bytes);
    ReportProgress(context_, "healing", result_.bytes_copied(), 0);
    return CheckCancelled(context_);
  });
  absl::Status healed = copier.Copy(ids);
  healed.Update(copier.Finish());
  EMBER_RETURN_IF_ERROR(NoteRewritten(records));
  absl::MutexLock lock(&mu_);
  result_.set_records_copied(result_.records_copied() + copier.copied());
  result_.set_records_repaired(result_.records_repaired() + copier.copied());
  return healed;
}

absl::Status Check::FindStrangers() {
  const std::vector<std::string> known = parts_.copies.index.PackNames();
  for (const std::string& name : packs_) {
    if (std::binary_search(known.begin(), known.end(), name) || parts_.copies.trash.Contains(name))
      continue;
    // Listed before the index was asked, so no session is about to add it, unless it hangs.
    NoteProblem(absl::StrCat("pack ", name, " is not in the index"));
  }
  return absl::OkStatus();
}

}  // namespace ember::vault
