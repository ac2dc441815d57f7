// When a vault is collected and checked by itself, and what is remembered of the last time.
#include <algorithm>
#include <set>
#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/deletable.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr char kGc[] = "gc";
constexpr char kCheck[] = "check";
constexpr char kReplicate[] = "replicate";

google::protobuf::Timestamp* CountedFrom(absl::string_view kind, rec::VaultRecord* record) {
  return kind == kGc ? record->mutable_gc_counted_from() : record->mutable_check_counted_from();
}

bool TrashIsDue(const EmState& em, const std::string& vault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const absl::Time now = em.clock->Now();
  return std::any_of(em.catalog->backups().begin(), em.catalog->backups().end(),
                     [&](const auto& entry) {
                       const v1::Backup& backup = entry.second.backup();
                       return backup.trashed() && entry.second.vault() == vault &&
                              rpc::FromTimestamp(backup.trashed_until()) <= now;
                     });
}

// How often; InfiniteDuration: never.
absl::Duration Every(const EmState& em, const v1::VaultSpec& vault, absl::string_view kind)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const int64_t seconds = kind == kGc ? vault.gc_every_seconds() : vault.check_every_seconds();
  if (seconds > 0) return absl::Seconds(seconds);
  return kind == kGc ? TrashWindow(em, vault.name()) : absl::InfiniteDuration();
}

// Without a schedule a collection comes only for what was deleted. Reads every backup: asked when
// the time has come, not at every tick.
bool HasWork(const EmState& em, const v1::VaultSpec& vault, absl::string_view kind)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  return kind != kGc || vault.gc_every_seconds() > 0 || TrashIsDue(em, vault.name());
}

bool IsOpenJob(const EmState& em, const std::string& vault, absl::string_view kind)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  return std::any_of(em.catalog->runs().begin(), em.catalog->runs().end(), [&](const auto& entry) {
    const v1::Run& run = entry.second.run();
    return run.kind() == kind && run.vault() == vault && IsOpenRun(entry.second);
  });
}

rec::RunRecord NewJob(const EmState& em, absl::string_view kind, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::RunRecord run = NewRun(em, kind, "");
  run.mutable_run()->set_vault(vault);
  run.mutable_vault_request()->set_vault(vault);
  run.mutable_vault_request()->set_job(std::string(kind));
  return run;
}

absl::Status AddWhenDue(EmState& em, const v1::VaultSpec& vault, absl::string_view kind)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::string& name = vault.name();
  rec::VaultRecord record = VaultRecordOf(em, name);
  const absl::Time now = em.clock->Now();
  const bool known = kind == kGc ? record.has_gc_counted_from() : record.has_check_counted_from();
  google::protobuf::Timestamp* from = CountedFrom(kind, &record);
  const absl::Time last = rpc::FromTimestamp(*from);
  // New here, or the clock went back: it counts from now.
  const bool begin = !known || last > now;
  if (!begin && (now - last < Every(em, vault, kind) || !HasWork(em, vault, kind)))
    return absl::OkStatus();
  *from = rpc::ToTimestamp(now);
  Batch batch;
  batch.Put(record);
  if (!begin && !IsOpenJob(em, name, kind)) {
    rec::RunRecord run = NewJob(em, kind, name);
    run.mutable_vault_request()->set_read_data(kind == kCheck);
    batch.Put(run);
  }
  return em.Commit(batch);
}

// After the last replication, before what is still missing is looked at again. What that one could
// not copy will hardly be there minutes later; a vault that was away may be.
absl::Duration ReplicationPause(const EmState& em, const v1::VaultJobSummary& last)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto run = em.catalog->runs().find(last.run_id());
  const bool away = run != em.catalog->runs().end() &&
                    run->second.run().code() == static_cast<int>(absl::StatusCode::kUnavailable);
  return away ? absl::Seconds(kReplicationRetrySeconds) : absl::Hours(kReplicationSweepHours);
}

// The source after the one that was tried last, so that none waits for another for ever.
std::string NextSource(const EmState& em, const v1::VaultJobSummary& last,
                       const std::set<std::string>& sources) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto run = em.catalog->runs().find(last.run_id());
  if (run == em.catalog->runs().end()) return *sources.begin();
  const auto next = sources.upper_bound(run->second.vault_request().from());
  return next == sources.end() ? *sources.begin() : *next;
}

// A new backup is copied at once, and everything after a changed estate; what could not be copied
// is tried again after a while.
absl::Status AddReplicationWhenDue(EmState& em, const v1::VaultSpec& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::string& name = vault.name();
  if (IsOpenJob(em, name, kReplicate)) return absl::OkStatus();
  rec::VaultRecord record = VaultRecordOf(em, name);
  const v1::VaultJobSummary& last = record.last_replication();
  const absl::Time now = em.clock->Now();
  // What lies ahead of a clock that went back counts as long ago.
  const auto past = [now](const google::protobuf::Timestamp& time) {
    const absl::Time instant = rpc::FromTimestamp(time);
    return instant > now ? absl::InfinitePast() : instant;
  };
  const absl::Time tried =
      record.has_replication_tried() ? past(record.replication_tried()) : absl::InfinitePast();
  const absl::Time ended = std::max(tried, past(last.time()));
  const bool all = tried == absl::InfinitePast() || past(em.catalog->estate().applied()) >= tried ||
                   now - ended >= ReplicationPause(em, last);
  const std::set<std::string> sources =
      SourcesToCopyFrom(em, vault, all ? absl::InfinitePast() : tried);
  if (sources.empty()) return absl::OkStatus();
  *record.mutable_replication_tried() = rpc::ToTimestamp(now);
  rec::RunRecord run = NewJob(em, kReplicate, name);
  run.mutable_vault_request()->set_from(NextSource(em, last, sources));
  Batch batch;
  batch.Put(record);
  batch.Put(run);
  return em.Commit(batch);
}

// The vault whose backups `vault` has damaged copies of; empty when there are none.
std::string ToHealFrom(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const auto& [id, backup] : em.catalog->backups()) {
    if (AwaitsCheck(backup, vault) && !backup.backup().trashed()) return backup.vault();
  }
  return "";
}

// A copy in which damage was met: all of its vault is checked, and healed from the backup's own.
absl::Status AddHealingWhenDue(EmState& em, const v1::VaultSpec& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::string& name = vault.name();
  const std::string from = ToHealFrom(em, name);
  if (from.empty() || IsOpenJob(em, name, kCheck)) return absl::OkStatus();
  // A check that came to its end has taken the copy's mark away: one that did not is tried again
  // after a while.
  const v1::VaultJobSummary last = VaultRecordOf(em, name).last_check();
  const absl::Duration since = em.clock->Now() - rpc::FromTimestamp(last.time());
  if (since >= absl::ZeroDuration() && since < absl::Seconds(kReplicationRetrySeconds) &&
      last.outcome() == v1::Outcome::FAILED)
    return absl::OkStatus();
  rec::RunRecord run = NewJob(em, kCheck, name);
  run.mutable_vault_request()->set_read_data(true);
  run.mutable_vault_request()->set_repair(true);
  if (from != name) run.mutable_vault_request()->set_from(from);
  Batch batch;
  batch.Put(run);
  return em.Commit(batch);
}

v1::VaultJobSummary* SummaryOf(absl::string_view kind, rec::VaultRecord* record) {
  if (kind == kGc) return record->mutable_last_gc();
  return kind == kCheck ? record->mutable_last_check() : record->mutable_last_replication();
}

absl::Status ForgetVaults(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  Batch batch;
  for (const auto& [name, record] : em.catalog->vaults()) {
    if (FindVault(em.catalog->estate().estate(), name) == nullptr) batch.Erase(record);
  }
  return em.Commit(batch);
}

}  // namespace

rec::VaultRecord VaultRecordOf(const EmState& em, const std::string& vault) {
  const auto known = em.catalog->vaults().find(vault);
  if (known != em.catalog->vaults().end()) return known->second;
  rec::VaultRecord record;
  record.set_name(vault);
  return record;
}

absl::Status AddDueVaultJobs(EmState& em) {
  for (const v1::VaultSpec& vault : em.catalog->estate().estate().vaults()) {
    EMBER_RETURN_IF_ERROR(AddWhenDue(em, vault, kGc));
    EMBER_RETURN_IF_ERROR(AddWhenDue(em, vault, kCheck));
    EMBER_RETURN_IF_ERROR(AddHealingWhenDue(em, vault));
    EMBER_RETURN_IF_ERROR(AddReplicationWhenDue(em, vault));
  }
  return ForgetVaults(em);
}

void NoteVaultJobEnd(const EmState& em, const rec::RunRecord& record, Batch* batch) {
  const v1::Run& run = record.run();
  if (run.kind() != kGc && run.kind() != kCheck && run.kind() != kReplicate) return;
  rec::VaultRecord vault = VaultRecordOf(em, run.vault());
  v1::VaultJobSummary* summary = SummaryOf(run.kind(), &vault);
  summary->Clear();
  *summary->mutable_time() = run.ended();
  summary->set_outcome(run.outcome());
  if (run.kind() == kCheck) summary->set_level(record.vault_request().read_data() ? "L1" : "L0");
  summary->set_bytes_freed(run.vault_result().bytes_freed());
  summary->set_records_damaged(run.vault_result().records_damaged());
  summary->set_error(run.error());
  summary->set_run_id(run.id());
  if (run.kind() == kReplicate) summary->set_backups_copied(run.vault_result().backups_size());
  if (run.kind() == kCheck && run.outcome() == v1::Outcome::OK) vault.set_rolled_back(false);
  // What was found bad has left the vault's index: a replication brings it again.
  if (run.kind() == kCheck && record.vault_request().read_data()) vault.clear_replication_tried();
  if (run.kind() != kReplicate) *CountedFrom(run.kind(), &vault) = run.ended();
  batch->Put(std::move(vault));
}

}  // namespace ember::controller
