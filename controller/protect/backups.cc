// Finding backups, vaults and keys.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::StatusOr<const rec::BackupRecord*> NewestBefore(const EmState& em,
                                                      const std::string& workload, absl::Time until)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const rec::BackupRecord* best = nullptr;
  for (auto it = em.catalog->backups().lower_bound(absl::StrCat(workload, "/"));
       it != em.catalog->backups().end(); ++it) {
    const v1::Backup& backup = it->second.backup();
    if (backup.workload() != workload) break;
    if (backup.trashed() || backup.orphan() || !IsStored(backup) ||
        rpc::FromTimestamp(backup.created()) > until)
      continue;
    if (best == nullptr || ReceivedAt(it->second) >= ReceivedAt(*best)) best = &it->second;
  }
  if (best == nullptr) return BackupNotFound(absl::StrCat(workload, "@…"));
  return best;
}

absl::StatusOr<absl::Time> ParseInstant(absl::string_view text) {
  absl::Time time;
  std::string error;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, &time, &error)) return time;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a time (2026-11-19T12:00, UTC unless it says otherwise)"));
}

absl::Status GrantIn(const EmState& em, v1::ReadGrant grant, v1::VaultAddress* vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  grant.set_vault(vault->name());
  EMBER_ASSIGN_OR_RETURN(*vault->mutable_read_grant(), em.keys->SignReadGrant(grant));
  return absl::OkStatus();
}

// The longest hold of the workload's policies.
int64_t HoldSeconds(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Estate& estate = em.catalog->estate().estate();
  int64_t longest = 0;
  const v1::WorkloadSpec* spec = FindWorkload(estate, workload);
  if (spec == nullptr) return longest;
  for (const std::string& name : spec->policies()) {
    if (const v1::PolicySpec* policy = FindPolicy(estate, name))
      longest = std::max(longest, policy->hold_seconds());
  }
  return longest;
}

}  // namespace

absl::Time ReceivedAt(const rec::BackupRecord& record) {
  return rpc::FromTimestamp(record.has_vault_received() ? record.vault_received()
                                                        : record.backup().created());
}

bool IsStored(const v1::Backup& backup) {
  return backup.outcome() == v1::Outcome::OK || backup.outcome() == v1::Outcome::PARTIAL;
}

std::vector<const rec::BackupRecord*> GoodBackups(const EmState& em, const std::string& workload) {
  std::vector<const rec::BackupRecord*> good;
  for (auto it = em.catalog->backups().lower_bound(absl::StrCat(workload, "/"));
       it != em.catalog->backups().end(); ++it) {
    const v1::Backup& backup = it->second.backup();
    if (backup.workload() != workload) break;
    if (backup.outcome() == v1::Outcome::OK && backup.verified() && !backup.trashed() &&
        !backup.orphan() && !it->second.restore_failed() &&
        (!it->second.copies().empty() || IsDiskThere(em, it->second)))
      good.push_back(&it->second);
  }
  std::stable_sort(good.begin(), good.end(),
                   [](const auto* a, const auto* b) { return ReceivedAt(*a) > ReceivedAt(*b); });
  return good;
}

absl::StatusOr<const rec::BackupRecord*> NewestGoodAt(const EmState& em, const std::string& text,
                                                      absl::Time at) {
  std::string workload = text;
  const auto any = em.catalog->backups().lower_bound(absl::StrCat(text, "/"));
  const bool named = any != em.catalog->backups().end() && any->second.backup().workload() == text;
  if (!named && em.catalog->FindWorkload(text) == nullptr) {
    EMBER_ASSIGN_OR_RETURN(const rec::BackupRecord* backup, ResolveBackup(em, text));
    workload = backup->backup().workload();
  }
  for (const rec::BackupRecord* good : GoodBackups(em, workload)) {
    if (rpc::FromTimestamp(good->backup().created()) <= at) return good;
  }
  return WithHint(absl::NotFoundError(
                      absl::StrCat("no backup of '", workload, "' from ",
                                   absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", at, absl::UTCTimeZone()),
                                   " or before: none that is good is that old")),
                  absl::StrCat("ember backup list ", workload));
}

absl::Duration AgeOf(const rec::BackupRecord& record, absl::Time now) {
  absl::Time taken = rpc::FromTimestamp(record.backup().created());
  // Made while the controller's clock was ahead: the vault knows better.
  if (taken > now) taken = std::min(taken, ReceivedAt(record));
  return std::max(absl::ZeroDuration(), now - taken);
}

absl::StatusOr<const rec::BackupRecord*> ResolveBackup(const EmState& em, const std::string& text) {
  const auto& backups = em.catalog->backups();
  if (const auto exact = backups.find(text); exact != backups.end()) return &exact->second;
  if (const size_t at = text.find('@'); at != std::string::npos) {
    const std::string workload = text.substr(0, at);
    if (em.catalog->FindWorkload(workload) == nullptr &&
        !NewestBefore(em, workload, absl::InfiniteFuture()).ok()) {
      return WorkloadNotFound(workload);
    }
    if (text.substr(at + 1) == "latest") return NewestBefore(em, workload, absl::InfiniteFuture());
    EMBER_ASSIGN_OR_RETURN(const absl::Time until, ParseInstant(text.substr(at + 1)));
    return NewestBefore(em, workload, until);
  }
  // Never another backup of the same second: who deletes twice would lose two.
  const bool whole = ParseBackupId(text).ok();
  std::vector<const rec::BackupRecord*> named;
  std::vector<const rec::BackupRecord*> prefixed;
  for (const auto& [id, record] : backups) {
    if (!text.empty() && record.backup().name() == text) named.push_back(&record);
    if (!text.empty() && !whole && absl::StartsWith(id, text)) prefixed.push_back(&record);
  }
  const auto& matches = named.empty() ? prefixed : named;
  if (matches.size() == 1) return matches[0];
  if (matches.empty()) return BackupNotFound(text);
  std::vector<std::string> ids;
  for (size_t i = 0; i < std::min<size_t>(matches.size(), 3); ++i)
    ids.push_back(matches[i]->backup().id());
  return BackupAmbiguous(text,
                         absl::StrCat(absl::StrJoin(ids, ", "), matches.size() > 3 ? ", …" : ""));
}

absl::StatusOr<v1::VaultAddress> AddressOf(const EmState& em, const std::string& vault) {
  const v1::VaultSpec* spec = FindVault(em.catalog->estate().estate(), vault);
  if (spec == nullptr) return VaultNotFound(vault);
  const auto node = em.catalog->nodes().find(spec->node());
  const auto heard = em.board.nodes.find(spec->node());
  if (node == em.catalog->nodes().end() || node->second.state() != v1::NodeState::ALIVE ||
      heard == em.board.nodes.end() || heard->second.address.empty()) {
    return WithHint(
        absl::UnavailableError(absl::StrCat("vault '", vault, "' is not reachable: its node ",
                                            spec->node(), " is not ALIVE")),
        absl::StrCat("ember node show ", spec->node()));
  }
  v1::VaultAddress address;
  address.set_name(vault);
  address.set_node(spec->node());
  address.set_address(heard->second.address);
  return address;
}

absl::StatusOr<v1::Signed> GrantFor(const EmState& em, const rec::WorkloadRecord& workload,
                                    const std::string& vault, const std::string& backup_id) {
  v1::Grant grant;
  grant.set_node(workload.node());
  grant.set_workload(workload.name());
  grant.set_epoch(workload.epoch());
  grant.set_vault(vault);
  grant.set_backup_id(backup_id);
  grant.set_hold_seconds(HoldSeconds(em, workload.name()));
  return em.keys->SignGrant(grant);
}

absl::Status GrantReading(const EmState& em, const std::string& node, v1::Order* order) {
  v1::ReadGrant grant;
  grant.set_node(node);
  v1::VaultAddress* from = nullptr;
  const auto of_backup = [&](auto* reads) {
    grant.set_domain_id(reads->domain_id());
    from = reads->mutable_vault();
  };
  if (order->has_restore()) of_backup(order->mutable_restore());
  if (order->has_verify()) of_backup(order->mutable_verify());
  if (order->has_list_files()) of_backup(order->mutable_list_files());
  if (order->has_read_file()) of_backup(order->mutable_read_file());
  if (order->has_diff()) {
    of_backup(order->mutable_diff());
    EMBER_RETURN_IF_ERROR(GrantIn(em, grant, order->mutable_diff()->mutable_other_vault()));
  }
  if (order->has_vault() && order->vault().has_replicate())
    from = order->mutable_vault()->mutable_replicate()->mutable_from();
  if (order->has_vault() && order->vault().check().has_other())
    from = order->mutable_vault()->mutable_check()->mutable_other();
  if (from == nullptr) return absl::OkStatus();
  grant.set_every_domain(order->has_vault());
  return GrantIn(em, grant, from);
}

rec::BackupRecord NewBackup(const rec::WorkloadRecord& workload, const std::string& vault,
                            const rec::RunRecord& run) {
  rec::BackupRecord record;
  record.set_domain_id(DomainOfNode(workload.node()));
  record.set_vault(vault);
  record.set_run_id(run.run().id());
  v1::Backup& wire = *record.mutable_backup();
  wire.set_id(run.run().backup_id());
  wire.set_policy(run.policy());
  wire.set_workload(workload.name());
  wire.set_outcome(v1::Outcome::RUNNING);
  wire.set_node(workload.node());
  wire.set_version(kVersion);
  return record;
}

absl::StatusOr<v1::DomainKeys> DomainOf(EmState& em, const std::string& node) {
  const std::string id = DomainOfNode(node);
  const auto known = em.catalog->domains().find(id);
  if (known != em.catalog->domains().end()) return em.keys->BackupKeys(known->second);
  EMBER_ASSIGN_OR_RETURN(rec::DomainRecord domain, em.keys->NewDomain(id));
  Batch batch;
  batch.Put(domain);
  batch.AddEvent("domain.created", id, "dedup domain created, keys wrapped to the recovery key");
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  return em.keys->BackupKeys(domain);
}

}  // namespace ember::controller
