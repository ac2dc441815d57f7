#include "common/vault/pack_trash.h"

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

using format::v1::TrashedPack;

constexpr char kTrashedPacks[] = "trash/packs";

std::string MarkObject(absl::string_view name) { return absl::StrCat(kTrashedPacks, "/", name); }

absl::StatusOr<TrashedPack> ReadMark(ObjectStore& store, const std::string& object) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, store.Read(object, 0, size));
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body, Unframe(kTrashMagic, bytes, object));
  TrashedPack mark;
  if (!mark.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return absl::DataLossError("it does not parse");
  return mark;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListTrashedPacks(ObjectStore& store) {
  EMBER_ASSIGN_OR_RETURN(std::vector<std::string> names, store.List(kTrashedPacks));
  for (std::string& name : names) name.erase(0, sizeof(kTrashedPacks));
  return names;
}

absl::StatusOr<std::unique_ptr<PackTrash>> PackTrash::Load(ObjectStore& store, absl::Time now) {
  std::unique_ptr<PackTrash> trash(new PackTrash(store));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListTrashedPacks(store));
  absl::MutexLock lock(&trash->mu_);
  for (const std::string& name : names) {
    const std::string object = MarkObject(name);
    const auto size = store.Size(PackObject(name));
    if (absl::IsNotFound(size.status())) {
      EMBER_RETURN_IF_ERROR(store.Delete(object));
      continue;
    }
    EMBER_RETURN_IF_ERROR(size.status());
    const auto mark = ReadMark(store, object);
    if (!mark.ok())
      LogWarning("vault", "the mark of a pack in the trash is damaged: its time begins anew",
                 {{"file", object}, {"why", mark.status().message()}});
    trash->items_[name] = {.trashed = mark.ok() ? rpc::FromTimestamp(mark->trashed()) : now,
                           .bytes = *size,
                           .retired = true};
  }
  return trash;
}

absl::Status PackTrash::Mark(const std::string& name, uint64_t bytes, absl::Time now) {
  TrashedPack mark;
  mark.set_version(1);
  *mark.mutable_trashed() = rpc::ToTimestamp(now);
  mark.set_bytes(bytes);
  absl::MutexLock lock(&mu_);
  const absl::Status put =
      PutObject(store_, MarkObject(name), Frame(kTrashMagic, mark.SerializeAsString()));
  // One that a failed attempt left will do: it is older, and only its time matters.
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  items_[name] = {.trashed = now, .bytes = bytes};
  return absl::OkStatus();
}

void PackTrash::Retired(const std::string& name, uint64_t moment) {
  absl::MutexLock lock(&mu_);
  const auto item = items_.find(name);
  if (item == items_.end()) return;
  item->second.retired = true;
  item->second.moment = moment;
}

absl::Status PackTrash::Rescue(const std::string& name) {
  absl::MutexLock lock(&mu_);
  if (!items_.contains(name)) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(store_.Delete(MarkObject(name)));
  items_.erase(name);
  return absl::OkStatus();
}

bool PackTrash::Contains(const std::string& name) {
  absl::MutexLock lock(&mu_);
  return items_.contains(name);
}

absl::StatusOr<PackTrash::Emptied> PackTrash::Empty(absl::Time until, ReaderLeases& readers) {
  std::vector<std::string> due;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [name, item] : items_) {
      if (item.retired && item.trashed <= until && readers.EndedBefore(item.moment))
        due.push_back(name);
    }
  }
  Emptied emptied;
  for (const std::string& name : due) {
    absl::MutexLock lock(&mu_);
    const auto item = items_.find(name);
    if (item == items_.end()) continue;  // rescued meanwhile
    EMBER_RETURN_IF_ERROR(store_.Delete(PackObject(name)));
    EMBER_RETURN_IF_ERROR(store_.Delete(MarkObject(name)));
    ++emptied.packs;
    emptied.bytes += static_cast<int64_t>(item->second.bytes);
    items_.erase(item);
  }
  return emptied;
}

int64_t PackTrash::bytes() {
  absl::MutexLock lock(&mu_);
  int64_t total = 0;
  for (const auto& [name, item] : items_) total += static_cast<int64_t>(item.bytes);
  return total;
}

}  // namespace ember::vault
