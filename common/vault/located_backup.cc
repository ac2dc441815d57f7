#include "common/vault/located_backup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/backup_objects.h"
#include "common/vault/live_ids.h"
#include "common/vault/pack_trash.h"
#include "common/vault/ref_set.h"
#include "common/vault/repair.h"

namespace ember::vault {

using format::v1::PackFooter;
using format::v1::PackSession;

// What is looked for.
struct LocatedBackup::Search {
  std::string domain_id;
  bool everything = false;            // all of the domain
  std::vector<absl::uint128> wanted;  // prefixes, ascending; unless everything
  const JobContext& context;
  int64_t packs_done = 0;
  int64_t packs_total = 0;

  bool Wants(absl::uint128 prefix) const {
    return everything || std::binary_search(wanted.begin(), wanted.end(), prefix);
  }
};

namespace {

// The prefixes of a reference set, piece by piece. DATA_LOSS unless it is what was committed.
absl::StatusOr<std::vector<absl::uint128>> ReadWanted(ObjectStore& store, absl::string_view tail,
                                                      const std::string& sha256) {
  std::vector<absl::uint128> wanted;
  EMBER_RETURN_IF_ERROR(ReadRefSet(store, tail, sha256, [&wanted](absl::string_view joined) {
    for (const absl::string_view id : SplitIds(joined)) wanted.push_back(PrefixOf(id));
    return absl::OkStatus();
  }));
  return wanted;
}

// `object` with zeroes where it cannot be read: a lost sector is a damage that parity repairs, too.
std::string ReadAround(ObjectStore& store, const std::string& object, uint64_t size) {
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const size_t large = std::min<uint64_t>(kParitySliceBytes, size - bytes.size());
    if (const auto piece = store.Read(object, bytes.size(), large); piece.ok()) {
      bytes += *piece;
      continue;
    }
    for (const uint64_t end = bytes.size() + large; bytes.size() < end;) {
      const size_t small = std::min<uint64_t>(kParitySliceBytesMin, end - bytes.size());
      const auto piece = store.Read(object, bytes.size(), small);
      bytes += piece.ok() ? *piece : std::string(small, '\0');
    }
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocatedBackup>> LocatedBackup::Find(
    std::shared_ptr<ObjectStore> store, const format::v1::StoredBackupRecord& record,
    absl::string_view tail, const JobContext& context) {
  std::unique_ptr<LocatedBackup> located(new LocatedBackup(std::move(store)));
  Search search{.domain_id = record.domain_id(), .context = context};
  auto wanted = ReadWanted(*located->store_, tail, record.refs_sha256());
  if (wanted.ok()) {
    search.wanted = *std::move(wanted);
  } else {
    located->problems_.push_back(
        absl::StrCat(wanted.status().message(), "; all records of its domain are looked for"));
    search.everything = true;
  }
  located->keyboxes_[record.session_id()] = record.keybox();
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> all, ListPacks(*located->store_));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> marks, ListTrashedPacks(*located->store_));
  std::vector<std::string> live, trashed;
  for (const std::string& name : all)
    (std::binary_search(marks.begin(), marks.end(), name) ? trashed : live).push_back(name);
  search.packs_total = static_cast<int64_t>(all.size());
  EMBER_RETURN_IF_ERROR(located->Look(live, &search));
  if (!search.everything) {
    std::erase_if(search.wanted, [&](absl::uint128 prefix) {
      return std::binary_search(located->copies_.begin(), located->copies_.end(),
                                Copy{.prefix = prefix},
                                [](const Copy& a, const Copy& b) { return a.prefix < b.prefix; });
    });
  }
  if (search.everything || !search.wanted.empty())
    EMBER_RETURN_IF_ERROR(located->Look(trashed, &search));
  return located;
}

absl::Status LocatedBackup::Look(const std::vector<std::string>& packs, Search* search) {
  for (const std::string& pack : packs) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(search->context));
    const auto table = TableOf(pack);
    if (table.ok()) {
      Take(pack, *table, *search);
    } else if (!absl::IsNotFound(table.status())) {  // unlinked since it was listed
      problems_.push_back(
          absl::StrCat(PackObject(pack), " cannot be read: ", table.status().message()));
    }
    ++search->packs_done;
    ReportProgress(search->context,
                   absl::StrCat("looking for its records, pack ", search->packs_done, " of ",
                                search->packs_total),
                   0, 0);
  }
  // Stable: the copies of a record stay in the order in which they were found.
  std::stable_sort(copies_.begin(), copies_.end(),
                   [](const Copy& a, const Copy& b) { return a.prefix < b.prefix; });
  return absl::OkStatus();
}

absl::StatusOr<PackFooter> LocatedBackup::TableOf(const std::string& pack) {
  auto footer = ReadPackFooter(*store_, pack);
  if (!absl::IsDataLoss(footer.status())) return footer;
  problems_.push_back(
      absl::StrCat(footer.status().message(), "; its records are found by scanning it"));
  return ScanPack(*store_, pack);
}

void LocatedBackup::Take(const std::string& pack, const PackFooter& table, const Search& search) {
  const uint32_t number = static_cast<uint32_t>(packs_.size());
  bool taken = false;
  for (const format::v1::PackRecord& record : table.records()) {
    const PackSession& session = table.sessions(static_cast<int>(record.session()));
    // A session whose pack lost its start comes without its domain.
    if (!session.domain_id().empty() && session.domain_id() != search.domain_id) continue;
    const absl::uint128 prefix = PrefixOf(record.id());
    if (!search.Wants(prefix)) continue;
    copies_.push_back({.prefix = prefix,
                       .pack = number,
                       .offset = static_cast<uint32_t>(record.offset()),
                       .length = record.length()});
    if (!session.keybox().empty()) keyboxes_[session.session_id()] = session.keybox();
    taken = true;
  }
  if (taken) packs_.push_back(pack);
}

std::vector<LocatedBackup::Copy> LocatedBackup::CopiesOf(absl::string_view id) const {
  const auto [begin, end] =
      std::equal_range(copies_.begin(), copies_.end(), Copy{.prefix = PrefixOf(id)},
                       [](const Copy& a, const Copy& b) { return a.prefix < b.prefix; });
  return {begin, end};
}

absl::Status LocatedBackup::Read(std::vector<std::string> ids, const ReadSink& sink) const {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  ReadReplies replies(sink);
  std::map<uint32_t, std::vector<WantedRecord>> by_pack;
  for (const std::string& id : ids) {
    if (id.size() != kRecordIdBytes) return absl::InvalidArgumentError("an id is not 32 bytes");
    const std::vector<Copy> copies = CopiesOf(id);
    if (copies.empty()) {
      EMBER_RETURN_IF_ERROR(replies.AddProblem(id, true, "not in this vault"));
    } else {
      by_pack[copies[0].pack].push_back({id, copies[0].offset, copies[0].length});
    }
  }
  for (auto& [pack, wanted] : by_pack) {
    EMBER_RETURN_IF_ERROR(ReadRecords(
        *store_, packs_[pack], std::move(wanted),
        [&](const WantedRecord& each, const absl::StatusOr<RecordView>& record) {
          if (record.ok()) return replies.Add(*record);
          return ReadElsewhere(each.id, std::string(record.status().message()), &replies);
        }));
  }
  return replies.Send();
}

absl::Status LocatedBackup::ReadElsewhere(const std::string& id, const std::string& why,
                                          ReadReplies* replies) const {
  const std::vector<Copy> copies = CopiesOf(id);
  for (size_t i = 1; i < copies.size(); ++i) {
    bool found = false;
    EMBER_RETURN_IF_ERROR(
        ReadRecords(*store_, packs_[copies[i].pack], {{id, copies[i].offset, copies[i].length}},
                    [&](const WantedRecord&, const absl::StatusOr<RecordView>& record) {
                      found = record.ok();
                      return found ? replies->Add(*record) : absl::OkStatus();
                    }));
    if (found) return absl::OkStatus();
  }
  for (const Copy& copy : copies) {
    const auto pack = Repaired(copy.pack);
    if (!pack.ok()) continue;
    const auto record = FindRecord(**pack, {id, copy.offset, copy.length});
    if (record.ok()) return replies->Add(*record);
  }
  return replies->AddProblem(id, false, why);
}

absl::StatusOr<std::shared_ptr<const std::string>> LocatedBackup::Repaired(uint32_t pack) const {
  absl::MutexLock lock(&repair_mu_);
  if (repaired_ != nullptr && repaired_pack_ == pack) return repaired_;
  const std::string& name = packs_[pack];
  const std::string object = PackObject(name);
  if (beyond_repair_.contains(pack)) return Damaged(object, "it is beyond repair");
  repaired_ = nullptr;  // before another pack is in memory
  const auto repair = [&]() -> absl::StatusOr<std::string> {
    EMBER_ASSIGN_OR_RETURN(const uint64_t size, store_->Size(object));
    if (size > kPackBytesMax) return Damaged(object, "it is larger than a pack can be");
    return RepairPack(name, ReadAround(*store_, object, size));
  };
  auto bytes = repair();
  if (!bytes.ok()) {
    beyond_repair_.insert(pack);
    return bytes.status();
  }
  repaired_pack_ = pack;
  repaired_ = std::make_shared<const std::string>(*std::move(bytes));
  return repaired_;
}

}  // namespace ember::vault
