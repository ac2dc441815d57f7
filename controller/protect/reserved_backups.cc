#include "controller/protect/reserved_backups.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/protect/schedule.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Signing takes a part of a millisecond: the rest of a large estate waits for the next ticks.
constexpr int kWorkloadsPerTick = 20;

// The first vault of the policy that the estate still has.
const v1::VaultSpec* VaultOf(const v1::Estate& estate, const v1::PolicySpec& policy) {
  for (const std::string& name : policy.vaults()) {
    if (const v1::VaultSpec* vault = FindVault(estate, name)) return vault;
  }
  return nullptr;
}

bool IsOf(const rec::ReservedBackup& reserved, const rec::WorkloadRecord& workload) {
  return reserved.node() == workload.node() && reserved.epoch() == workload.epoch();
}

// All that was reserved is for what is so now. What is due stays until its run is sent.
bool IsUpToDate(const EmState& em, const rec::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  return workload.reserved_version() == em.catalog->estate().version() + 1 &&
         std::all_of(workload.reserved().begin(), workload.reserved().end(),
                     [&](const rec::ReservedBackup& reserved) { return IsOf(reserved, workload); });
}

// Two policies may be due at the same instant.
std::string NewBackupId(const EmState& em, const rec::WorkloadRecord& workload, absl::Time due,
                        const std::vector<rec::ReservedBackup>& before)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (int n = kOfflineBackupNumber;; ++n) {
    std::string id = BackupId(workload.name(), due, n);
    const auto is_it = [&id](const rec::ReservedBackup& each) { return each.backup_id() == id; };
    if (em.catalog->backups().count(id) == 0 && std::none_of(before.begin(), before.end(), is_it) &&
        std::none_of(workload.reserved().begin(), workload.reserved().end(), is_it)) {
      return id;
    }
  }
}

absl::StatusOr<rec::ReservedBackup> Reserve(EmState& em, const rec::WorkloadRecord& workload,
                                            const std::string& policy, const std::string& vault,
                                            absl::Time due, std::string backup_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::ReservedBackup reserved;
  reserved.set_policy(policy);
  *reserved.mutable_due() = rpc::ToTimestamp(due);
  reserved.set_backup_id(std::move(backup_id));
  reserved.set_node(workload.node());
  reserved.set_epoch(workload.epoch());
  reserved.set_vault(vault);
  EMBER_ASSIGN_OR_RETURN(*reserved.mutable_grant(),
                         GrantFor(em, workload, vault, reserved.backup_id()));
  return reserved;
}

absl::Status ReserveOf(EmState& em, const v1::WorkloadSpec& spec, rec::WorkloadRecord workload,
                       Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const absl::Time now = em.clock->Now();
  std::vector<rec::ReservedBackup> before(workload.reserved().begin(), workload.reserved().end());
  workload.clear_reserved();
  workload.set_reserved_version(em.catalog->estate().version() + 1);
  // The keys must be there before they are told.
  const bool scheduled = !spec.sources().empty() && NextBackup(em, spec) != absl::InfiniteFuture();
  const absl::Status keys = scheduled ? DomainOf(em, workload.node()).status() : absl::OkStatus();
  if (!keys.ok()) {
    LogError("protect", "no backups can be reserved",
             {{"workload", spec.name()}, {"error", keys.ToString()}});
  }
  for (const std::string& name : spec.policies()) {
    const v1::PolicySpec* policy = FindPolicy(estate, name);
    const v1::VaultSpec* vault = policy == nullptr ? nullptr : VaultOf(estate, *policy);
    if (vault == nullptr || !scheduled || !keys.ok()) continue;
    for (const rec::ReservedBackup& reserved : before) {
      if (reserved.policy() == name && IsOf(reserved, workload) &&
          reserved.vault() == vault->name() && rpc::FromTimestamp(reserved.due()) <= now)
        *workload.add_reserved() = reserved;
    }
    absl::Time due = now;
    for (int i = 0; i < kOfflineBackupsAhead; ++i) {
      due = NextDue(*policy, due);
      if (due == absl::InfiniteFuture()) break;
      // What stays the same need not be signed, and told, again.
      const auto same = std::find_if(before.begin(), before.end(), [&](const auto& reserved) {
        return reserved.policy() == name && reserved.vault() == vault->name() &&
               IsOf(reserved, workload) && rpc::FromTimestamp(reserved.due()) == due;
      });
      if (same != before.end()) {
        *workload.add_reserved() = *same;
        continue;
      }
      EMBER_ASSIGN_OR_RETURN(
          rec::ReservedBackup reserved,
          Reserve(em, workload, name, vault->name(), due, NewBackupId(em, workload, due, before)));
      *workload.add_reserved() = std::move(reserved);
    }
  }
  batch->Put(workload);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReserveBackups(EmState& em) {
  const v1::Estate estate = em.catalog->estate().estate();
  Batch batch;
  int reserved = 0;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    if (reserved == kWorkloadsPerTick) break;
    const auto workload = em.catalog->workloads().find(spec.name());
    if (workload == em.catalog->workloads().end() || IsUpToDate(em, workload->second)) continue;
    EMBER_RETURN_IF_ERROR(ReserveOf(em, spec, workload->second, &batch));
    ++reserved;
  }
  return em.Commit(batch);
}

v1::OfflineBackups OfflineBackupsOf(const EmState& em, const rec::WorkloadRecord& workload) {
  v1::OfflineBackups offline;
  const auto domain = em.catalog->domains().find(DomainOfNode(workload.node()));
  if (domain == em.catalog->domains().end()) return offline;
  for (const rec::ReservedBackup& reserved : workload.reserved()) {
    const v1::VaultSpec* vault = FindVault(em.catalog->estate().estate(), reserved.vault());
    if (vault == nullptr || !IsOf(reserved, workload)) continue;
    const auto host = em.catalog->nodes().find(vault->node());
    if (host == em.catalog->nodes().end() || host->second.address().empty()) continue;
    v1::OfflineBackup* item = offline.add_items();
    item->set_policy(reserved.policy());
    *item->mutable_due() = reserved.due();
    item->set_backup_id(reserved.backup_id());
    item->mutable_vault()->set_name(vault->name());
    item->mutable_vault()->set_node(vault->node());
    item->mutable_vault()->set_address(host->second.address());
    *item->mutable_grant() = reserved.grant();
  }
  if (offline.items().empty()) return offline;
  auto keys = em.keys->BackupKeys(domain->second);
  if (keys.ok()) {
    *offline.mutable_domain() = *std::move(keys);
  } else {
    LogError("protect", "the keys of a domain cannot be opened",
             {{"domain", domain->first}, {"error", keys.status().ToString()}});
    offline.Clear();
  }
  return offline;
}

void DropReserved(const std::string& policy, absl::Time due, rec::WorkloadRecord* workload) {
  std::vector<rec::ReservedBackup> left;
  for (rec::ReservedBackup& reserved : *workload->mutable_reserved()) {
    if (reserved.policy() != policy || rpc::FromTimestamp(reserved.due()) > due)
      left.push_back(std::move(reserved));
  }
  *workload->mutable_reserved() = {left.begin(), left.end()};
  workload->clear_reserved_version();  // some more can be reserved
}

namespace {

// What `order_id` of `node` was reserved as; null when it was not.
const rec::ReservedBackup* FindReserved(const EmState& em, const std::string& node,
                                        absl::string_view order_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::string backup = BackupOfOfflineOrder(order_id);
  const auto id = ParseBackupId(backup);
  if (!id.ok() || em.catalog->backups().count(backup) > 0) return nullptr;
  const auto workload = em.catalog->workloads().find(id->workload);
  if (workload == em.catalog->workloads().end()) return nullptr;
  for (const rec::ReservedBackup& reserved : workload->second.reserved()) {
    if (reserved.backup_id() == backup && reserved.node() == node &&
        IsOf(reserved, workload->second))
      return &reserved;
  }
  return nullptr;
}

// The run of that policy that waits to be sent is this one; a new one when there is none.
rec::RunRecord RunFor(const EmState& em, const std::string& workload, const std::string& policy)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const auto& [id, run] : em.catalog->runs()) {
    if (run.policy() == policy && run.run().workload() == workload && IsOpenRun(run) &&
        run.order_id().empty() && run.run().kind() == "backup" && !run.run().has_backup())
      return run;
  }
  return NewRun(em, "backup", workload);
}

}  // namespace

bool IsReservedOrder(const EmState& em, const std::string& node, const std::string& order_id) {
  return FindReserved(em, node, order_id) != nullptr;
}

absl::Status TakeOfflineBackup(EmState& em, const std::string& node,
                               const v1::OrderUpdate& update) {
  const rec::ReservedBackup* const reserved = FindReserved(em, node, update.order_id());
  if (reserved == nullptr) return absl::OkStatus();
  const rec::ReservedBackup taken = *reserved;
  rec::WorkloadRecord workload =
      em.catalog->workloads().at(ParseBackupId(taken.backup_id())->workload);
  const std::string reason =
      absl::StrCat("schedule ", taken.policy(), ", while the controller was away");

  rec::RunRecord run = RunFor(em, workload.name(), taken.policy());
  run.set_policy(taken.policy());
  run.set_attempt(run.attempt() + 1);
  run.set_order_id(update.order_id());
  run.mutable_backup_request()->set_reason(reason);
  run.mutable_run()->set_node(node);
  run.mutable_run()->set_backup_id(taken.backup_id());
  run.mutable_run()->set_outcome(v1::Outcome::RUNNING);
  run.mutable_run()->clear_error();
  *run.mutable_run()->mutable_started() = taken.due();

  rec::BackupRecord backup = NewBackup(workload, taken.vault(), run);
  backup.mutable_backup()->set_kind("incremental");
  *backup.mutable_backup()->mutable_created() = taken.due();
  backup.mutable_backup()->set_reason(reason);

  v1::Order made;
  made.set_id(update.order_id());
  made.set_workload(workload.name());
  made.set_epoch(taken.epoch());
  made.set_offline(true);
  made.mutable_backup()->set_backup_id(taken.backup_id());
  rec::OrderRecord order = NewOrder(em, node, std::move(made));
  *order.mutable_created() = taken.due();

  const absl::Time due = rpc::FromTimestamp(taken.due());
  auto& last_due = (*workload.mutable_policy_last_due())[taken.policy()];
  if (rpc::FromTimestamp(last_due) < due) last_due = taken.due();
  DropReserved(taken.policy(), due, &workload);
  Batch batch;
  batch.Put(workload);
  batch.Put(run);
  batch.Put(backup);
  batch.Put(order);
  batch.AddEvent("backup.offline", taken.backup_id(),
                 absl::StrCat("begun by node ", node, " while the controller was away"),
                 workload.name());
  return em.Commit(batch);
}

}  // namespace ember::controller
