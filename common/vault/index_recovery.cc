#include "common/vault/index_recovery.h"

#include <algorithm>
#include <iterator>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/pack.h"
#include "common/vault/record_reader.h"

namespace ember::vault {
namespace {

std::vector<std::string> Difference(const std::vector<std::string>& from,
                                    const std::vector<std::string>& less) {
  std::vector<std::string> rest;
  std::set_difference(from.begin(), from.end(), less.begin(), less.end(), std::back_inserter(rest));
  return rest;
}

// OK with `added` false: the pack cannot be read.
absl::Status AddPack(ObjectStore& store, ChunkIndex& index, PackTrash& trash,
                     const std::string& name, bool& added) {
  added = false;
  const auto table = ReadPackTable(store, name);
  const auto size = store.Size(PackObject(name));
  if (!table.ok() || !size.ok() || table->records_size() == 0) {
    LogError("vault", "a pack cannot be read",
             {{"pack", name},
              {"why", table.ok() ? "no record in it is intact" : table.status().message()}});
    return absl::OkStatus();
  }
  const auto is_intact = [&](const Location& location, absl::string_view id) {
    return !trash.Contains(index.PackName(location.pack)) &&
           IsRecordIntact(store, index, location, id);
  };
  EMBER_RETURN_IF_ERROR(index.AddPack(name, *size, *table, is_intact));
  added = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ChunkIndex>> OpenEmpty(const std::string& directory,
                                                      const std::string& vault_id,
                                                      absl::string_view why) {
  LogWarning("vault", "the index is made anew from the packs",
             {{"directory", directory}, {"why", why}});
  EMBER_RETURN_IF_ERROR(ChunkIndex::Destroy(directory));
  return ChunkIndex::Open(directory, vault_id);
}

// Packs of which no backup uses a session come last.
void SortByFirstUse(ObjectStore& store, const std::map<std::string, uint64_t>& first_uses,
                    std::vector<std::string>& packs) {
  std::map<std::string, uint64_t> ranks;
  for (const std::string& name : packs) {
    uint64_t& rank = ranks[name];
    rank = UINT64_MAX;
    const auto table = ReadPackTable(store, name);
    if (!table.ok()) continue;
    for (const format::v1::PackSession& session : table->sessions()) {
      const auto use = first_uses.find(session.session_id());
      if (use != first_uses.end()) rank = std::min(rank, use->second);
    }
  }
  std::stable_sort(packs.begin(), packs.end(), [&](const std::string& a, const std::string& b) {
    return ranks.at(a) < ranks.at(b);
  });
}

// The process died after a pack got its mark and before the index let go of it. By now all other
// packs are known, so that an entry which still names it and is needed has no other copy.
absl::Status SettleTrashed(ObjectStore& store, ChunkIndex& index, PackTrash& trash) {
  for (const ChunkIndex::PackFacts& pack : index.Packs()) {
    if (!trash.Contains(pack.name)) continue;
    ChunkIndex::Victim victim{.pack = pack.number};
    const auto table = ReadPackFooter(store, pack.name);
    if (table.ok()) {
      for (const format::v1::PackRecord& record : table->records())
        victim.prefixes.push_back(record.id().substr(0, kIndexPrefixBytes));
    }
    const absl::Status retired =
        table.ok() ? index.Retire({victim}, nullptr) : absl::FailedPreconditionError("unreadable");
    if (!absl::IsFailedPrecondition(retired)) {
      EMBER_RETURN_IF_ERROR(retired);
      continue;
    }
    LogInfo("vault", "a pack comes back from the trash: it has records without another copy",
            {{"pack", pack.name}});
    EMBER_RETURN_IF_ERROR(trash.Rescue(pack.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RecoveredIndex> OpenIndex(
    ObjectStore& store, const std::string& directory, const std::string& vault_id,
    VaultState& state, PackTrash& trash,
    const std::function<std::map<std::string, uint64_t>()>& first_uses) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> packs, ListPacks(store));
  auto index = ChunkIndex::Open(directory, vault_id);
  if (absl::IsResourceExhausted(index.status())) return index.status();
  if (!index.ok()) {
    index = OpenEmpty(directory, vault_id, index.status().message());
  } else if (!Difference((*index)->PackNames(), packs).empty()) {
    index->reset();  // closes it
    index = OpenEmpty(directory, vault_id, "packs that it names are gone");
  }
  EMBER_RETURN_IF_ERROR(index.status());
  RecoveredIndex recovered{.index = *std::move(index)};
  state.RaiseEpochTo(recovered.index->HighestEpoch());
  recovered.index->SetEpoch(state.epoch());
  std::vector<std::string> unknown = Difference(packs, recovered.index->PackNames());
  std::erase_if(unknown, [&](const std::string& name) { return trash.Contains(name); });
  if (unknown.size() > 1) SortByFirstUse(store, first_uses(), unknown);
  for (const std::string& name : unknown) {
    bool added = false;
    EMBER_RETURN_IF_ERROR(AddPack(store, *recovered.index, trash, name, added));
    if (!added) ++recovered.unreadable_packs;
  }
  EMBER_RETURN_IF_ERROR(SettleTrashed(store, *recovered.index, trash));
  return recovered;
}

}  // namespace ember::vault
