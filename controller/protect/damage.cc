#include "controller/protect/damage.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "controller/protect/replicas.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// What an order reads; an empty id for orders that read no backup.
struct Reading {
  std::string backup_id;
  std::string vault;
};
Reading ReadBy(const v1::Order& order) {
  if (order.has_restore()) return {order.restore().backup_id(), order.restore().vault().name()};
  if (order.has_list_files())
    return {order.list_files().backup_id(), order.list_files().vault().name()};
  if (order.has_read_file())
    return {order.read_file().backup_id(), order.read_file().vault().name()};
  return {order.verify().backup_id(), order.verify().vault().name()};
}

}  // namespace

void MarkDamaged(const rec::BackupRecord& record, absl::string_view why, Batch* batch) {
  rec::BackupRecord damaged = record;
  v1::Backup& backup = *damaged.mutable_backup();
  const bool news = !damaged.restore_failed() || backup.error() != why;
  damaged.set_restore_failed(true);
  backup.set_verified(false);
  backup.clear_verified_level();
  backup.set_error(std::string(why));
  if (news) batch->AddEvent("backup.damaged", backup.id(), why, backup.workload());
  batch->Put(std::move(damaged));
}

void MarkDamageMet(const EmState& em, const v1::Order& order, const v1::OrderUpdate& update,
                   Batch* batch) {
  const Reading read = ReadBy(order);
  const auto backup = em.catalog->backups().find(read.backup_id);
  if (backup == em.catalog->backups().end()) return;
  std::string why;
  if (update.state() == v1::OrderUpdate::FAILED) {
    if (update.code() != static_cast<int>(absl::StatusCode::kDataLoss)) return;
    why = update.error();
  } else if (update.restore().holes_size() > 0) {
    // Passed over because a person said --anyway: damage all the same.
    why = absl::StrCat("a restore of it left holes: ", update.restore().holes(0).problem());
  } else {
    return;
  }
  // Damage in a copy says nothing about the backup itself.
  if (read.vault == backup->second.vault() || read.vault.empty()) {
    MarkDamaged(backup->second, why, batch);
  } else {
    DropCopyUntilChecked(backup->second, read.vault, why, batch);
  }
}

}  // namespace ember::controller
