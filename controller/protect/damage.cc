#include "controller/protect/damage.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// The backup that an order reads; empty for orders that read none.
const std::string& ReadBy(const v1::Order& order) {
  if (order.has_restore()) return order.restore().backup_id();
  if (order.has_list_files()) return order.list_files().backup_id();
  return order.verify().backup_id();
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
  const auto backup = em.catalog->backups().find(ReadBy(order));
  if (backup == em.catalog->backups().end()) return;
  if (update.state() == v1::OrderUpdate::FAILED) {
    if (update.code() == static_cast<int>(absl::StatusCode::kDataLoss))
      MarkDamaged(backup->second, update.error(), batch);
    return;
  }
  // Passed over because a person said --anyway: damage all the same.
  if (update.restore().holes_size() > 0) {
    MarkDamaged(backup->second,
                absl::StrCat("a restore of it left holes: ", update.restore().holes(0).problem()),
                batch);
  }
}

}  // namespace ember::controller
