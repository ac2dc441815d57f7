#include "common/vault/take_pack.h"

#include "common/base/status.h"
#include "common/vault/record_reader.h"

namespace ember::vault {

absl::StatusOr<std::vector<bool>> AreOfAnotherDomain(ChunkIndex& index,
                                                     const std::vector<absl::string_view>& ids,
                                                     absl::string_view domain_id) {
  EMBER_ASSIGN_OR_RETURN(const auto known, index.Find(ids));
  std::vector<bool> of_another(ids.size());
  for (size_t i = 0; i < ids.size(); ++i)
    of_another[i] = known[i] && index.SessionOf(known[i]->session).domain_id() != domain_id;
  return of_another;
}

absl::StatusOr<uint64_t> TakePack(PackWriter& writer, ObjectStore& store, ChunkIndex& index,
                                  PackTrash& trash, DamagedIds& damaged) {
  EMBER_ASSIGN_OR_RETURN(const PackWriter::Published published, writer.Publish());
  EMBER_RETURN_IF_ERROR(trash.Rescue(published.name));
  if (absl::IsNotFound(store.Size(PackObject(published.name)).status()))
    return absl::UnavailableError("the same pack was in the trash and has just been removed");
  const auto is_intact = [&](const Location& location, absl::string_view id) {
    return IsRecordIntact(store, index, location, id);
  };
  EMBER_RETURN_IF_ERROR(index.AddPack(published.name, published.size, published.footer, is_intact));
  // Either the copy just written or an older one that proved intact is in the index now.
  for (const format::v1::PackRecord& record : published.footer.records())
    damaged.Remove(record.id());
  return published.size;
}

}  // namespace ember::vault
