#include "common/vault/index_recovery.h"

#include <algorithm>
#include <iterator>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/pack.h"
#include "common/vault/record_reader.h"

namespace ember::vault {
namespace {

absl::StatusOr<std::vector<std::string>> ListPacks(ObjectStore& store) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> objects, store.List("packs"));
  std::vector<std::string> names;
  for (const std::string& object : objects) {
    if (std::string name = PackNameOf(object); !name.empty()) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> Difference(const std::vector<std::string>& from,
                                    const std::vector<std::string>& less) {
  std::vector<std::string> rest;
  std::set_difference(from.begin(), from.end(), less.begin(), less.end(), std::back_inserter(rest));
  return rest;
}

// OK with `added` false: the pack cannot be read.
absl::Status AddPack(ObjectStore& store, ChunkIndex& index, const std::string& name, bool& added) {
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
    return IsRecordIntact(store, index, location, id);
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

}  // namespace

absl::StatusOr<RecoveredIndex> OpenIndex(ObjectStore& store, const std::string& directory,
                                         const std::string& vault_id) {
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
  for (const std::string& name : Difference(packs, recovered.index->PackNames())) {
    bool added = false;
    EMBER_RETURN_IF_ERROR(AddPack(store, *recovered.index, name, added));
    if (!added) ++recovered.unreadable_packs;
  }
  return recovered;
}

}  // namespace ember::vault
