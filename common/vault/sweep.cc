#include "common/vault/sweep.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/job.h"

namespace ember::vault {
namespace {

uint64_t BytesOf(const Location& location) { return kRecordHeaderBytes + location.length; }

}  // namespace

std::vector<ChunkIndex::PackFacts> Sweep::Choose(uint64_t& dead) const {
  const auto live_of = [this](const ChunkIndex::PackFacts& pack) {
    const auto live = live_bytes_.find(pack.number);
    return live == live_bytes_.end() ? 0 : live->second;
  };
  std::vector<ChunkIndex::PackFacts> chosen;
  for (ChunkIndex::PackFacts& pack : parts_.index.Packs()) {
    if (pack.epoch >= epoch_) continue;
    const uint64_t live = live_of(pack);
    const uint64_t garbage = pack.record_bytes - std::min(pack.record_bytes, live);
    if (live == 0 || garbage * 100 > pack.record_bytes * kSweepDeadPercent)
      chosen.push_back(std::move(pack));
  }
  const auto first_live =
      std::stable_partition(chosen.begin(), chosen.end(),
                            [&](const ChunkIndex::PackFacts& pack) { return live_of(pack) == 0; });
  dead = static_cast<uint64_t>(first_live - chosen.begin());
  return chosen;
}

absl::Status Sweep::Run() {
  uint64_t dead = 0;
  const std::vector<ChunkIndex::PackFacts> packs = Choose(dead);
  int64_t total = 0;
  for (const ChunkIndex::PackFacts& pack : packs) total += static_cast<int64_t>(pack.size);
  int64_t done = 0;
  for (size_t begin = 0; begin < packs.size();) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    ReportProgress(context_, "sweeping", done, total);
    // Dead packs one by one; of the others as many as fill a new pack.
    size_t end = begin;
    uint64_t live = 0;
    do {
      done += static_cast<int64_t>(packs[end].size);
      const auto bytes = live_bytes_.find(packs[end].number);
      live += bytes == live_bytes_.end() ? 0 : bytes->second;
      ++end;
    } while (begin >= dead && end < packs.size() && end - begin < kSweepGroupPacksMax &&
             live + packs[end].record_bytes <= kPackBytes);
    EMBER_RETURN_IF_ERROR(SweepGroup(absl::MakeConstSpan(packs).subspan(begin, end - begin)));
    EMBER_RETURN_IF_ERROR(empty_trash_());
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status Sweep::Rewrite(const GcParts& parts, const JobContext& context,
                            const std::vector<ChunkIndex::PackFacts>& packs,
                            v1::VaultResult& result) {
  const absl::flat_hash_map<uint32_t, uint64_t> live_bytes;
  Sweep sweep(parts, context, 0, live_bytes, result, [] { return absl::OkStatus(); });
  for (const ChunkIndex::PackFacts& pack : packs)
    EMBER_RETURN_IF_ERROR(sweep.SweepGroup(absl::MakeConstSpan(&pack, 1)));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Sweep::Entry>> Sweep::EntriesOf(const ChunkIndex::PackFacts& pack) {
  std::vector<Entry> entries;
  const auto table = ReadPackFooter(parts_.store, pack.name);
  if (table.ok()) {
    std::vector<absl::string_view> ids;
    for (const format::v1::PackRecord& record : table->records()) ids.push_back(record.id());
    EMBER_ASSIGN_OR_RETURN(const auto found, parts_.index.Find(ids));
    // Wherever the index leads, which may be past the records, to a copy in the parity. Of a record
    // that was sent twice only the copy that is read is worth keeping.
    std::set<uint32_t> offsets;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (found[i] && found[i]->pack == pack.number && offsets.insert(found[i]->offset).second)
        entries.push_back({std::string(ids[i].substr(0, kIndexPrefixBytes)), *found[i]});
    }
  } else {
    // A footer that cannot be read does not tell what the index knows of the pack.
    EMBER_RETURN_IF_ERROR(parts_.index.Scan(
        "", "", [&](absl::string_view prefix, const Location& location) -> absl::Status {
          if (location.pack == pack.number) entries.push_back({std::string(prefix), location});
          return CheckCancelled(context_);
        }));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.location.offset < b.location.offset; });
  return entries;
}

absl::Status Sweep::SweepGroup(absl::Span<const ChunkIndex::PackFacts> packs) {
  std::vector<uint32_t> numbers;
  for (const ChunkIndex::PackFacts& pack : packs) numbers.push_back(pack.number);
  parts_.index.BeginRetire(numbers);
  const auto spare = absl::MakeCleanup([&] { parts_.index.Spare(numbers); });
  // From here on what is condemned in them stays so, and what is not cannot become so.
  std::vector<Victim> victims;
  uint64_t live = 0;
  for (const ChunkIndex::PackFacts& pack : packs) {
    EMBER_ASSIGN_OR_RETURN(std::vector<Entry> entries, EntriesOf(pack));
    for (const Entry& entry : entries)
      live += entry.location.condemned ? 0 : BytesOf(entry.location);
    victims.push_back({.pack = pack, .entries = std::move(entries)});
  }
  if (live == 0) return Retire(victims, nullptr);
  EMBER_ASSIGN_OR_RETURN(const bool has_room, HasRoom(live));
  if (!has_room) return absl::OkStatus();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<PackWriter> writer, CopyLive(victims));
  std::erase_if(victims, [](const Victim& victim) { return victim.has_damage; });
  if (victims.empty()) return absl::OkStatus();
  EMBER_ASSIGN_OR_RETURN(const PackWriter::Published published, writer->Publish());
  EMBER_RETURN_IF_ERROR(parts_.trash.Rescue(published.name));
  // A victim may be the very pack that its copy would be: what an interrupted round left behind.
  std::erase_if(victims, [&](const Victim& victim) { return victim.pack.name == published.name; });
  if (victims.empty()) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(Retire(victims, &published));
  result_.set_packs_rewritten(result_.packs_rewritten() + static_cast<int64_t>(victims.size()));
  return absl::OkStatus();
}

absl::StatusOr<bool> Sweep::HasRoom(uint64_t bytes) {
  EMBER_ASSIGN_OR_RETURN(const ObjectStore::Space space, parts_.store.GetSpace());
  if (space.free_bytes - static_cast<int64_t>(bytes) >= kVaultReserveBytes) return true;
  if (!std::exchange(out_of_room_, true))
    AddProblem(result_, absl::StrCat("no room to rewrite packs that are partly garbage: ", bytes,
                                     " bytes are needed, ", space.free_bytes, " are free"));
  return false;
}

absl::StatusOr<std::unique_ptr<PackWriter>> Sweep::CopyLive(std::vector<Victim>& victims) {
  std::map<uint32_t, format::v1::PackSession> sessions;
  for (const Victim& victim : victims) {
    for (const Entry& entry : victim.entries) {
      if (!entry.location.condemned && !sessions.contains(entry.location.session))
        sessions[entry.location.session] = parts_.index.SessionOf(entry.location.session);
    }
  }
  std::vector<format::v1::PackSession> rows;
  for (auto& [number, session] : sessions) rows.push_back(std::move(session));
  EMBER_ASSIGN_OR_RETURN(std::unique_ptr<PackWriter> writer,
                         PackWriter::Create(parts_.store, rows, parts_.parity));
  for (Victim& victim : victims) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    EMBER_RETURN_IF_ERROR(CopyFrom(victim, *writer));
  }
  return writer;
}

absl::Status Sweep::CopyFrom(Victim& victim, PackWriter& writer) {
  std::vector<const Entry*> run;
  uint64_t begin = 0;
  uint64_t end = 0;
  for (const Entry& entry : victim.entries) {
    if (entry.location.condemned) continue;
    const uint64_t entry_end = entry.location.offset + BytesOf(entry.location);
    const bool joins = !run.empty() && entry.location.offset <= end + kReadGapBytesMax &&
                       entry_end - begin <= kReadRangeBytesMax;
    if (!joins) {
      EMBER_RETURN_IF_ERROR(CopyRun(victim, run, writer));
      run.clear();
      begin = entry.location.offset;
    }
    run.push_back(&entry);
    end = entry_end;
  }
  return CopyRun(victim, run, writer);
}

absl::Status Sweep::CopyRun(Victim& victim, absl::Span<const Entry* const> run,
                            PackWriter& writer) {
  if (run.empty() || victim.has_damage) return absl::OkStatus();
  const uint64_t begin = run.front()->location.offset;
  const uint64_t end = run.back()->location.offset + BytesOf(run.back()->location);
  const auto bytes = parts_.store.Read(PackObject(victim.pack.name), begin, end - begin);
  for (const Entry* entry : run) {
    const auto record =
        bytes.ok() ? ParseRecord(absl::string_view(*bytes).substr(entry->location.offset - begin))
                   : bytes.status();
    if (record.ok() && record->id.substr(0, kIndexPrefixBytes) == entry->prefix) {
      EMBER_RETURN_IF_ERROR(writer.Append(*record));
      continue;
    }
    // A pack that has damage in what is needed stays as it is: a check may still repair it.
    victim.has_damage = true;
    if (record.ok() || absl::IsDataLoss(record.status()))
      LogError("vault", "a record is damaged",
               {{"pack", victim.pack.name}, {"id", absl::BytesToHexString(entry->prefix)}});
    AddProblem(result_, absl::StrCat("pack ", victim.pack.name,
                                     " is not rewritten: a record in it cannot be read"));
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Sweep::Retire(const std::vector<Victim>& victims,
                           const PackWriter::Published* replacement) {
  const absl::Time now = parts_.state.TimeAt(parts_.clock.Now());
  std::vector<ChunkIndex::Victim> rows;
  absl::Status status;
  for (const Victim& victim : victims) {
    // First the mark, then the index: a rebuild must never prefer the old pack.
    status = parts_.trash.Mark(victim.pack.name, victim.pack.size, now);
    if (!status.ok()) break;
    ChunkIndex::Victim& row = rows.emplace_back(ChunkIndex::Victim{.pack = victim.pack.number});
    for (const Entry& entry : victim.entries) row.prefixes.push_back(entry.prefix);
  }
  if (status.ok()) status = parts_.index.Retire(rows, replacement);
  for (const Victim& victim : victims) {
    if (status.ok()) {
      parts_.trash.Retired(victim.pack.name, parts_.readers.Now());
    } else {
      EMBER_RETURN_IF_ERROR(parts_.trash.Rescue(victim.pack.name));
    }
  }
  return status;
}

}  // namespace ember::vault
