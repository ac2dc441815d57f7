#include "controller/protect/stored_backup.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/signed.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// What the vault's host says about it; the agent only carries the word.
absl::StatusOr<v1::Receipt> ReceiptFor(const EmState& em, const v1::Signed& signed_receipt,
                                       const rec::BackupRecord& record)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::VaultSpec* vault = FindVault(em.catalog->estate().estate(), record.vault());
  if (vault == nullptr) return VaultNotFound(record.vault());
  EMBER_ASSIGN_OR_RETURN(v1::Receipt receipt, rpc::OpenReceipt(em.keys->ca_pem(), signed_receipt,
                                                               vault->node(), em.clock->Now()));
  if (receipt.backup_id() != record.backup().id() || receipt.domain_id() != record.domain_id() ||
      receipt.workload() != record.backup().workload()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the receipt is for backup ", receipt.backup_id()));
  }
  return receipt;
}

// The backup that an order made; empty when its record has made way for that of a later attempt.
std::string BackupOf(const EmState& em, absl::string_view order_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (std::string id = BackupOfOfflineOrder(order_id); !id.empty()) return id;
  // run/workload/backup/attempt
  const std::vector<std::string> parts = absl::StrSplit(order_id, '/');
  const auto run = em.catalog->runs().find(parts[0]);
  int attempt = 0;
  const bool newest = parts.size() == 4 && run != em.catalog->runs().end() &&
                      absl::SimpleAtoi(parts[3], &attempt) && run->second.attempt() == attempt;
  if (!newest) return "";
  const std::string& id = run->second.run().backup_id();
  const auto backup = em.catalog->backups().find(id);
  return backup != em.catalog->backups().end() && backup->second.run_id() == parts[0] ? id : "";
}

}  // namespace

absl::StatusOr<bool> FillStored(const EmState& em, const v1::BackupResult& result,
                                rec::BackupRecord* record) {
  const absl::StatusOr<v1::Receipt> receipt = ReceiptFor(em, result.receipt(), *record);
  if (!receipt.ok()) {
    return Annotate(receipt.status(),
                    absl::StrCat("node ", record->backup().node(),
                                 " says that it stored a backup in vault '", record->vault(), "'"));
  }
  v1::Backup& backup = *record->mutable_backup();
  backup.set_outcome(result.outcome());
  backup.set_size_bytes(result.size_bytes());
  backup.set_added_bytes(result.added_bytes());
  backup.set_files(result.files());
  backup.set_verified(result.read_back_ok());
  backup.set_error(result.read_back_error());
  if (result.read_back_ok()) *backup.mutable_verified_at() = rpc::ToTimestamp(em.clock->Now());
  ShowVaults(record);
  record->set_vault_id(receipt->vault_id());
  *backup.mutable_problems() = result.problems();
  backup.set_problems_total(result.problems_total());
  const bool damaged = !result.read_back_ok() &&
                       (result.read_back_code() == static_cast<int>(absl::StatusCode::kDataLoss) ||
                        result.read_back_code() == 0);  // an older agent does not say
  if (!damaged) backup.clear_error();
  record->set_restore_failed(damaged);
  const std::vector<const rec::BackupRecord*> good = GoodBackups(em, backup.workload());
  // Of an interrupted commit the agent knows no more how many files there were.
  const bool counted = result.read_back_code() != static_cast<int>(absl::StatusCode::kAborted);
  if (counted && result.files() == 0 && !good.empty() && good[0]->backup().files() > 0) {
    backup.set_outcome(v1::Outcome::PARTIAL);
    backup.add_problems()->set_problem(
        absl::StrCat("every file is gone since ", good[0]->backup().id()));
    backup.set_problems_total(backup.problems_total() + 1);
  }
  record->set_vault_sequence(receipt->sequence());
  *record->mutable_vault_received() = receipt->received();
  record->set_manifest_root(receipt->manifest_root());
  if (receipt->has_held_until()) *backup.mutable_held_until() = receipt->held_until();
  return damaged;
}

void TakeLateBackup(const EmState& em, const std::string& node, const v1::OrderUpdate& update,
                    Batch* batch) {
  if (update.state() != v1::OrderUpdate::DONE || !update.has_backup()) return;
  const auto it = em.catalog->backups().find(BackupOf(em, update.order_id()));
  if (it == em.catalog->backups().end() || it->second.backup().node() != node ||
      it->second.backup().outcome() != v1::Outcome::FAILED) {
    return;
  }
  rec::BackupRecord record = it->second;
  if (const auto filled = FillStored(em, update.backup(), &record); !filled.ok()) {
    batch->AddEvent("backup.refused", record.backup().id(), std::string(filled.status().message()),
                    record.backup().workload());
    return;
  }
  batch->Put(record);
  batch->AddEvent("backup.found", record.backup().id(),
                  absl::StrCat("it was stored although its run had failed: ",
                               v1::Outcome::Value_Name(record.backup().outcome())),
                  record.backup().workload());
}

}  // namespace ember::controller
