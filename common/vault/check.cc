#include "common/vault/check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "common/vault/job.h"
#include "common/vault/pack.h"
#include "common/vault/repair.h"

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

// The record file of a backup, wherever it is.
absl::Status ReadRecord(StoredBackups& backups, ObjectStore& store, const std::string& backup_id,
                        const StoredBackups::Entry& entry) {
  if (!entry.deletion) return backups.Get(backup_id).status();
  EMBER_ASSIGN_OR_RETURN(const format::v1::TrashedBackup trashed, ReadTrashed(store, entry.tail));
  return ParseBackup(entry.tail, trashed.record()).status();
}

}  // namespace

absl::StatusOr<v1::VaultResult> Check::Run(const v1::CheckJob& job) {
  if (job.repair() && !job.read_data())
    return absl::FailedPreconditionError("a repair needs a check that reads the data");
  if (context_.other != nullptr)
    return absl::UnimplementedError("this Ember cannot heal a vault from another one");
  EMBER_RETURN_IF_ERROR(FindLostPacks());
  if (job.read_data()) EMBER_RETURN_IF_ERROR(ReadPacks(job.repair()));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> breaks, parts_.backups.CheckChains());
  for (const std::string& sentence : breaks) NoteProblem(sentence);
  for (const auto& [id, entry] : parts_.backups.All()) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    EMBER_RETURN_IF_ERROR(CheckBackup(id, entry));
  }
  if (parts_.backups.damaged() > 0)
    NoteProblem(absl::StrCat(parts_.backups.damaged(), " stored backups have a damaged record"));
  EMBER_RETURN_IF_ERROR(FindStrangers());
  absl::MutexLock lock(&mu_);
  return result_;
}

void Check::NoteProblem(absl::string_view problem) {
  LogError("vault", "a check found a problem", {{"problem", problem}});
  absl::MutexLock lock(&mu_);
  AddProblem(result_, problem);
}

absl::Status Check::FindLostPacks() {
  for (const ChunkIndex::PackFacts& pack : parts_.index.Packs()) {
    const auto size = parts_.store.Size(PackObject(pack.name));
    if (!size.ok() && !absl::IsNotFound(size.status())) return size.status();
    if (size.ok() && *size == pack.size) continue;
    if (!size.ok()) lost_packs_.insert(pack.number);
    NoteProblem(absl::StrCat("pack ", pack.name, size.ok() ? " has another size" : " is gone"));
  }
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> objects, parts_.store.List("packs"));
  for (const std::string& object : objects) {
    std::string name = PackNameOf(object);
    if (name.empty() || parts_.trash.Contains(name)) continue;
    const auto size = parts_.store.Size(object);
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
  const auto size = parts_.store.Size(object);
  if (absl::IsNotFound(size.status())) return absl::OkStatus();  // FindLostPacks has said so
  EMBER_RETURN_IF_ERROR(size.status());
  Sha256Stream digest;
  bool readable = true;
  for (uint64_t at = 0; at < *size && readable; at += kReadRangeBytesMax) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    const auto piece =
        parts_.store.Read(object, at, std::min<uint64_t>(*size - at, kReadRangeBytesMax));
    readable = piece.ok();
    if (readable) digest.Update(*piece);
  }
  const bool intact = readable && absl::BytesToHexString(digest.Finish()) == name;
  {
    absl::MutexLock lock(&mu_);
    result_.set_packs_checked(result_.packs_checked() + 1);
    result_.set_bytes_read(result_.bytes_read() + static_cast<int64_t>(*size));
  }
  if (!intact) {
    const auto bytes = ReadWhatCanBeRead(parts_.store, object);
    return HandleDamage(name, bytes.ok() ? *bytes : "", repair);
  }
  // What has its checksum for a name is as it was written, every record of it.
  EMBER_ASSIGN_OR_RETURN(const PackFooter table, ReadPackFooter(parts_.store, name));
  return CompareWithIndex(name, table);
}

absl::Status Check::HandleDamage(const std::string& name, const std::string& bytes, bool repair) {
  EMBER_RETURN_IF_ERROR(NoteDamagedRecords(name, bytes));
  absl::Status repaired = absl::DataLossError("its name is not its checksum");
  if (repair) repaired = RepairStoredPack(parts_.store, name, bytes);
  if (!repaired.ok()) {
    NoteProblem(absl::StrCat("pack ", name, " is damaged: ", repaired.message()));
    return absl::OkStatus();
  }
  LogInfo("vault", "a pack was repaired from its parity", {{"pack", name}});
  EMBER_ASSIGN_OR_RETURN(const PackFooter table, ReadPackFooter(parts_.store, name));
  for (const PackRecord& record : table.records()) {
    absl::MutexLock lock(&mu_);
    if (bad_.erase(record.id().substr(0, kIndexPrefixBytes)) != 0)
      result_.set_records_repaired(result_.records_repaired() + 1);
  }
  return CompareWithIndex(name, table);
}

// The index leads to records of this pack: only those it leads to are what damage costs.
absl::Status Check::NoteDamagedRecords(const std::string& name, absl::string_view bytes) {
  std::optional<uint32_t> number;
  for (const ChunkIndex::PackFacts& pack : parts_.index.Packs())
    if (pack.name == name) number = pack.number;
  if (!number) return absl::OkStatus();
  const auto footer = ParsePackEnd(bytes);
  const auto table = footer.ok() ? *footer : ScanPackBytes(bytes);
  std::map<std::string, std::string> whole_ids;  // by prefix
  for (const PackRecord& record : table.records())
    whole_ids[record.id().substr(0, kIndexPrefixBytes)] = record.id();
  return parts_.index.Scan(
      "", "", [&](absl::string_view prefix, const Location& location) -> absl::Status {
        if (location.pack != *number) return absl::OkStatus();
        const auto record = location.offset <= bytes.size()
                                ? ParseRecord(bytes.substr(location.offset))
                                : absl::StatusOr<RecordView>(absl::DataLossError("cut off"));
        if (record.ok() && record->id.substr(0, kIndexPrefixBytes) == prefix)
          return absl::OkStatus();
        const auto id = whole_ids.find(std::string(prefix));
        if (id != whole_ids.end()) parts_.damaged.Add(id->second);
        absl::MutexLock lock(&mu_);
        bad_[std::string(prefix)] = location.pack;
        return absl::OkStatus();
      });
}

// Of an intact pack.
absl::Status Check::CompareWithIndex(const std::string& name, const PackFooter& table) {
  std::map<uint64_t, const PackRecord*> by_offset;
  for (const PackRecord& record : table.records()) by_offset[record.offset()] = &record;
  int64_t wrong = 0;
  for (int begin = 0; begin < table.records_size(); begin += kIndexLookupBatch) {
    const int end = std::min<int>(table.records_size(), begin + kIndexLookupBatch);
    std::vector<absl::string_view> ids;
    for (int i = begin; i < end; ++i) ids.push_back(table.records(i).id());
    EMBER_ASSIGN_OR_RETURN(const auto found, parts_.index.Find(ids));
    for (int i = begin; i < end; ++i) {
      const auto& location = found[static_cast<size_t>(i - begin)];
      if (!location || parts_.index.PackName(location->pack) != name) continue;
      const std::string& id = table.records(i).id();
      const auto row = by_offset.find(location->offset);
      if (row == by_offset.end() || row->second->id() != id ||
          row->second->length() != location->length) {
        ++wrong;
      } else if (parts_.damaged.Contains(id)) {
        parts_.damaged.Remove(id);  // it was only unreadable for a while, or was repaired
      }
    }
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

absl::Status Check::CheckBackup(const std::string& backup_id, const StoredBackups::Entry& entry) {
  absl::Status status = ReadRecord(parts_.backups, parts_.store, backup_id, entry);
  int64_t bad = 0;
  const std::string object = BackupObject(kRefs, entry.tail);
  if (status.ok()) {
    const auto size = parts_.store.Size(object);
    status = size.status();
    Sha256Stream digest;
    for (uint64_t at = 0; status.ok() && at < *size;) {
      const uint64_t piece = at == 0 ? std::min<uint64_t>(*size, kFrameHeaderBytes)
                                     : std::min<uint64_t>(*size - at, kRefsReadBytes);
      const auto bytes = parts_.store.Read(object, at, piece);
      status = bytes.status();
      if (!status.ok()) break;
      digest.Update(*bytes);
      if (at > 0) EMBER_RETURN_IF_ERROR(CheckIds(*bytes, entry.domain_id, bad));
      at += piece;
    }
    if (status.ok() && digest.Finish() != entry.refs_sha256)
      status = absl::DataLossError(absl::StrCat(object, " is not what was committed"));
  }
  if (status.ok() && bad == 0) return absl::OkStatus();
  const auto now = parts_.backups.Find(backup_id);
  if (!now || now->deletion.has_value() != entry.deletion.has_value())
    return absl::OkStatus();  // deleted, or had back, meanwhile: it is where it was looked for no
                              // more
  NoteProblem(absl::StrCat("backup ", backup_id, ": ",
                           status.ok() ? absl::StrCat(bad, " of its records are damaged or missing")
                                       : std::string(status.message())));
  absl::MutexLock lock(&mu_);
  result_.add_damaged_backups(backup_id);
  return absl::OkStatus();
}

absl::Status Check::CheckIds(absl::string_view ids, const std::string& domain_id, int64_t& bad) {
  std::vector<absl::string_view> batch;
  for (; ids.size() >= kRecordIdBytes; ids.remove_prefix(kRecordIdBytes))
    batch.push_back(ids.substr(0, kRecordIdBytes));
  EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
  EMBER_ASSIGN_OR_RETURN(const auto found, parts_.index.Find(batch));
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string prefix(batch[i].substr(0, kIndexPrefixBytes));
    absl::MutexLock lock(&mu_);
    const auto known_bad = bad_.find(prefix);
    const bool lost =
        found[i] && (lost_packs_.contains(found[i]->pack) ||
                     (known_bad != bad_.end() && known_bad->second == found[i]->pack));
    if (found[i] && !lost && !parts_.damaged.Contains(batch[i]) &&
        parts_.index.SessionOf(found[i]->session).domain_id() == domain_id)
      continue;
    ++bad;
    if (lost) parts_.damaged.Add(batch[i]);
    // Each record once, however many backups need it.
    if (reported_.insert(prefix).second) result_.set_records_damaged(result_.records_damaged() + 1);
  }
  return absl::OkStatus();
}

absl::Status Check::FindStrangers() {
  const std::vector<std::string> known = parts_.index.PackNames();
  for (const std::string& name : packs_) {
    if (std::binary_search(known.begin(), known.end(), name) || parts_.trash.Contains(name))
      continue;
    // Listed before the index was asked, so no session is about to add it, unless it hangs.
    NoteProblem(absl::StrCat("pack ", name, " is not in the index"));
  }
  return absl::OkStatus();
}

}  // namespace ember::vault
