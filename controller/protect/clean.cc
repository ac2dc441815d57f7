#include "controller/protect/clean.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/base/deletion_budget.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/observing.h"
#include "controller/protect/deletable.h"
#include "controller/protect/replicas.h"
#include "controller/protect/retention.h"
#include "controller/protect/runs.h"
#include "controller/protect/schedule.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Judging reads all backups of a workload: the rest of a large estate waits for the next ticks.
constexpr int kWorkloadsPerTick = 20;

v1::Keep DefaultKeep() {
  v1::Keep keep;
  keep.set_last(10);
  keep.set_within_seconds(7 * 86400);
  keep.set_weekly(5);
  keep.set_monthly(12);
  return keep;
}

std::vector<KeepRule> RulesOf(const v1::Estate& estate, const std::string& workload,
                              CleanRules which) {
  std::vector<KeepRule> rules;
  const v1::WorkloadSpec* spec = FindWorkload(estate, workload);
  if (spec == nullptr) return rules;
  bool any = false;
  for (const std::string& name : spec->policies()) {
    const v1::PolicySpec* policy = FindPolicy(estate, name);
    if (policy == nullptr) continue;
    any = any || policy->has_keep();
    const absl::StatusOr<absl::TimeZone> zone = ZoneOf(policy->timezone());
    rules.push_back({name, policy->has_keep() ? std::optional(policy->keep()) : std::nullopt,
                     zone.ok() ? *zone : absl::UTCTimeZone()});
  }
  if (any || which == CleanRules::kAsDeclared) return rules;
  return {{"", DefaultKeep(), absl::UTCTimeZone()}};
}

// A vault that only copies what others have is the net below them.
bool IsOnlyACopy(const v1::Estate& estate, const std::string& workload,
                 const v1::VaultSpec& vault) {
  const v1::WorkloadSpec* spec = FindWorkload(estate, workload);
  if (spec == nullptr || vault.replicate_from().empty()) return false;
  return std::none_of(
      spec->policies().begin(), spec->policies().end(), [&](const std::string& name) {
        const v1::PolicySpec* policy = FindPolicy(estate, name);
        return policy != nullptr &&
               (policy->vaults().empty() || absl::c_linear_search(policy->vaults(), vault.name()));
      });
}

std::string WhyItStays(const EmState& em, const v1::Estate& estate, const rec::BackupRecord& record,
                       const std::map<std::string, std::string>& in_use)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Backup& backup = record.backup();
  if (backup.orphan())
    return absl::StrCat("what ", backup.node(), " was left with: a person decides");
  const v1::VaultSpec* vault = FindVault(estate, record.vault());
  if (vault == nullptr) return absl::StrCat("its vault '", record.vault(), "' is not declared");
  const absl::Time old_enough = ReceivedAt(record) + absl::Seconds(vault->min_retention_seconds());
  if (old_enough > em.clock->Now())
    return absl::StrCat("vault '", vault->name(), "' deletes nothing so young (min_retention)");
  // It is good again when the disk is back, and may have filled a place.
  if (!IsDiskThere(em, record))
    return absl::StrCat("the disk of vault '", vault->name(), "' with it is not there");
  if (IsOnlyACopy(estate, backup.workload(), *vault))
    return absl::StrCat("only its copy in '", vault->name(), "' is left, which no policy names");
  return WhyNotDeletable(em, record, in_use);
}

std::vector<const rec::BackupRecord*> StoredNewestFirst(const EmState& em,
                                                        const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::vector<const rec::BackupRecord*> stored;
  for (auto it = em.catalog->backups().lower_bound(absl::StrCat(workload, "/"));
       it != em.catalog->backups().end() && it->second.backup().workload() == workload; ++it) {
    if (IsStored(it->second.backup()) && !it->second.backup().trashed())
      stored.push_back(&it->second);
  }
  std::stable_sort(stored.begin(), stored.end(),
                   [](const auto* a, const auto* b) { return ReceivedAt(*a) > ReceivedAt(*b); });
  return stored;
}

std::vector<v1::CleanItem> Plan(const EmState& em, const v1::Estate& estate,
                                const std::string& workload, CleanRules which,
                                const std::map<std::string, std::string>& in_use)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::vector<const rec::BackupRecord*> stored = StoredNewestFirst(em, workload);
  std::set<const rec::BackupRecord*> good;
  for (const rec::BackupRecord* record : GoodBackups(em, workload)) good.insert(record);
  std::vector<KeepCandidate> candidates;
  for (const rec::BackupRecord* record : stored) {
    candidates.push_back({record->backup().id(), ReceivedAt(*record), record->backup().policy(),
                          good.count(record) > 0, WhyItStays(em, estate, *record, in_use)});
  }
  const std::vector<KeepVerdict> verdicts =
      JudgeRetention(candidates, RulesOf(estate, workload, which), em.clock->Now());
  std::vector<v1::CleanItem> items;
  for (size_t i = 0; i < stored.size(); ++i) {
    v1::CleanItem item;
    item.set_id(candidates[i].id);
    item.set_workload(workload);
    item.set_keep(verdicts[i].keep);
    item.set_reason(verdicts[i].reason);
    *item.mutable_received() = rpc::ToTimestamp(candidates[i].received);
    item.set_size_bytes(stored[i]->backup().size_bytes());
    item.set_added_bytes(stored[i]->backup().added_bytes());
    items.push_back(std::move(item));
  }
  return items;
}

// --- deletions by rule ---

// Those that are asked for already: a vault may be away.
std::set<std::string> BeingDeleted(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::set<std::string> ids;
  for (const auto& [id, run] : em.catalog->runs()) {
    if (run.run().kind() == "delete" && IsOpenRun(run)) ids.insert(run.run().backup_id());
  }
  return ids;
}

// What the vault's budget still allows. The vault counts itself; this only keeps from asking in
// vain.
int64_t BudgetLeft(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::VaultSpec* spec = FindVault(em.catalog->estate().estate(), vault);
  if (spec == nullptr) return 0;
  const absl::Time day_ago = em.clock->Now() - absl::Hours(24);
  int64_t committed = 0, deleted = 0;
  for (const auto& [id, record] : em.catalog->backups()) {
    if (record.vault() != vault || !IsStored(record.backup())) continue;
    if (!record.backup().trashed()) {
      ++committed;
    } else if (rpc::FromTimestamp(record.backup().trashed_until()) - TrashWindow(em, vault) >
               day_ago) {
      ++deleted;
    }
  }
  const int percent = spec->deletion_budget_percent() > 0 ? spec->deletion_budget_percent()
                                                          : kDeletionBudgetPercent;
  // Once it is sent it counts as deleted.
  const int64_t waiting = absl::c_count_if(em.catalog->runs(), [&](const auto& entry) {
    const rec::RunRecord& run = entry.second;
    return run.run().kind() == "delete" && run.run().vault() == vault && IsOpenRun(run) &&
           run.order_id().empty();
  });
  return DeletionBudget(percent, committed, deleted) - waiting;
}

// All that decides what goes, but for the vaults.
std::string PoliciesText(const v1::Estate& estate, const std::string& workload) {
  const v1::WorkloadSpec* spec = FindWorkload(estate, workload);
  std::string text;
  for (int i = 0; spec != nullptr && i < spec->policies_size(); ++i) {
    if (const v1::PolicySpec* policy = FindPolicy(estate, spec->policies(i)))
      absl::StrAppend(&text, policy->SerializeAsString(), ";");
  }
  return text;
}

bool HasKeep(const v1::Estate& estate, const v1::WorkloadSpec& spec) {
  return absl::c_any_of(spec.policies(), [&](const std::string& name) {
    const v1::PolicySpec* policy = FindPolicy(estate, name);
    return policy != nullptr && policy->has_keep();
  });
}

bool IsDue(const EmState& em, const rec::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const absl::Time judged = rpc::FromTimestamp(workload.retention_judged());
  const absl::Time now = em.clock->Now();
  return workload.retention_version() != em.catalog->estate().version() + 1 || judged > now ||
         now - judged >= absl::Seconds(kRetentionEverySeconds);
}

absl::Status AddDeletion(EmState& em, const std::string& who, const rec::BackupRecord& backup,
                         const std::string& why, v1::Run* made)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  EMBER_ASSIGN_OR_RETURN(rec::RunRecord run, WishFor(em, "delete", who, backup));
  run.mutable_delete_request()->set_id(backup.backup().id());
  run.mutable_delete_request()->set_why(why);
  run.mutable_delete_request()->set_confirmed(true);
  Batch batch;
  if (!who.empty())
    batch.AddEvent("delete.asked", backup.backup().id(), absl::StrCat("by ", who, ": ", why),
                   backup.backup().workload());
  batch.Put(run);
  if (made != nullptr) *made = run.run();
  return em.Commit(batch);
}

absl::Status DeleteWhatGoes(EmState& em, rec::WorkloadRecord workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::vector<v1::CleanItem> items =
      PlanClean(em, em.catalog->estate().estate(), workload.name(), CleanRules::kAsDeclared);
  workload.set_retention_version(em.catalog->estate().version() + 1);
  *workload.mutable_retention_judged() = rpc::ToTimestamp(em.clock->Now());
  Batch batch;
  batch.Put(workload);
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  std::reverse(items.begin(), items.end());  // the oldest first
  const std::set<std::string> asked_for = BeingDeleted(em);
  std::map<std::string, int64_t> left;  // by vault
  int asked = 0;
  for (const v1::CleanItem& item : items) {
    if (item.keep() || asked == kRetentionDeletesMax || asked_for.count(item.id()) > 0) continue;
    const rec::BackupRecord& backup = em.catalog->backups().at(item.id());
    const auto budget = left.try_emplace(backup.vault(), 0);
    if (budget.second) budget.first->second = BudgetLeft(em, backup.vault());
    if (budget.first->second <= 0) continue;
    --budget.first->second;
    ++asked;
    EMBER_RETURN_IF_ERROR(AddDeletion(em, "", backup, item.reason(), nullptr));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<v1::CleanItem> PlanClean(const EmState& em, const v1::Estate& estate,
                                     const std::string& workload, CleanRules rules) {
  return Plan(em, estate, workload, rules, BackupsInUse(em));
}

absl::StatusOr<v1::CleanPlan> PlanCleanOf(const EmState& em, const std::string& workload) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const std::map<std::string, std::string> in_use = BackupsInUse(em);
  std::set<std::string> names;
  if (!workload.empty()) {
    if (StoredNewestFirst(em, workload).empty() && FindWorkload(estate, workload) == nullptr)
      return WorkloadNotFound(workload);
    names.insert(workload);
  } else {
    for (const auto& [id, record] : em.catalog->backups()) names.insert(record.backup().workload());
  }
  v1::CleanPlan plan;
  for (const std::string& name : names) {
    for (v1::CleanItem& item : Plan(em, estate, name, CleanRules::kWithDefault, in_use)) {
      if (!item.keep()) plan.set_freed_bytes(plan.freed_bytes() + item.added_bytes());
      *plan.add_items() = std::move(item);
    }
  }
  return plan;
}

absl::StatusOr<v1::CleanReply> Clean(EmState& em, const std::string& who,
                                     const v1::CleanRequest& request) {
  EMBER_RETURN_IF_ERROR(RefuseWhileObserving(em));
  std::map<std::string, std::set<std::string>> wanted;  // by workload
  for (const std::string& id : request.ids()) {
    const auto backup = em.catalog->backups().find(id);
    if (backup == em.catalog->backups().end()) return BackupNotFound(id);
    wanted[backup->second.backup().workload()].insert(id);
  }
  if (!request.confirmed() && !wanted.empty()) {
    return NeedsConfirmation(
        absl::StrCat("cleaning puts ", request.ids_size(),
                     " backups into the trash, and they are gone when their time there is over"));
  }
  v1::CleanReply reply;
  for (const auto& [workload, ids] : wanted) {
    for (const v1::CleanItem& item :
         PlanClean(em, em.catalog->estate().estate(), workload, CleanRules::kWithDefault)) {
      if (ids.count(item.id()) == 0) continue;
      if (item.keep()) {
        *reply.add_kept() = item;
        continue;
      }
      EMBER_RETURN_IF_ERROR(AddDeletion(em, who, em.catalog->backups().at(item.id()),
                                        absl::StrCat("clean: ", item.reason()), reply.add_runs()));
    }
  }
  em.news = true;
  return reply;
}

absl::Status AddDueDeletions(EmState& em) {
  const v1::Estate& estate = em.catalog->estate().estate();
  int judged = 0;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    if (judged == kWorkloadsPerTick) break;
    const auto workload = em.catalog->workloads().find(spec.name());
    if (workload == em.catalog->workloads().end() || !HasKeep(estate, spec) ||
        !IsDue(em, workload->second))
      continue;
    EMBER_RETURN_IF_ERROR(DeleteWhatGoes(em, workload->second));
    ++judged;
  }
  return absl::OkStatus();
}

absl::Status CheckStillGoes(const EmState& em, const rec::BackupRecord& backup) {
  for (const v1::CleanItem& item : PlanClean(em, em.catalog->estate().estate(),
                                             backup.backup().workload(), CleanRules::kAsDeclared)) {
    if (item.id() == backup.backup().id() && item.keep()) {
      return absl::FailedPreconditionError(
          absl::StrCat("backup ", item.id(), " stays by now: ", item.reason()));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> WhatMoreWouldGo(const EmState& em, const v1::Estate& next) {
  const std::map<std::string, std::string> in_use = BackupsInUse(em);
  const v1::Estate& now = em.catalog->estate().estate();
  std::vector<std::string> sentences;
  for (const v1::WorkloadSpec& spec : next.workloads()) {
    if (PoliciesText(now, spec.name()) == PoliciesText(next, spec.name())) continue;
    std::set<std::string> already;
    for (const v1::CleanItem& item : Plan(em, now, spec.name(), CleanRules::kAsDeclared, in_use)) {
      if (!item.keep()) already.insert(item.id());
    }
    std::vector<absl::Time> more;  // newest first
    for (const v1::CleanItem& item : Plan(em, next, spec.name(), CleanRules::kAsDeclared, in_use)) {
      if (!item.keep() && already.count(item.id()) == 0)
        more.push_back(rpc::FromTimestamp(item.received()));
    }
    if (more.empty()) continue;
    const auto day = [](absl::Time time) {
      return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
    };
    sentences.push_back(absl::StrCat("of '", spec.name(), "' ", more.size(),
                                     more.size() == 1 ? " backup" : " backups",
                                     " would go, stored ", day(more.back()), " to ",
                                     day(more.front()), "; `ember backup pin` keeps one"));
  }
  return sentences;
}

}  // namespace ember::controller
