#include "controller/service/views.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/estate/fields.h"
#include "controller/fleet/nodes.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/recover/recoveries.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

std::string HealthText(const v1::WorkloadSpec& spec, const WorkloadJudgement& judgement) {
  const v1::HealthSpec& health = spec.health();
  std::string kind = "process";
  if (health.kind_case() == v1::HealthSpec::kTcp) kind = absl::StrCat("tcp ", health.tcp());
  if (health.kind_case() == v1::HealthSpec::kHttp) kind = absl::StrCat("http ", health.http());
  if (health.kind_case() == v1::HealthSpec::kCommand) kind = "command";
  if (health.kind_case() == v1::HealthSpec::kHeartbeatMillis) kind = "heartbeat";
  switch (judgement.health) {
    case Health::kHealthy: return absl::StrCat(kind, ": healthy");
    case Health::kFailing: return absl::StrCat(kind, ": failing, ", judgement.cause);
    case Health::kDead: return absl::StrCat(kind, ": dead, ", judgement.cause);
    case Health::kStarting: return absl::StrCat(kind, ": not probed yet");
    case Health::kUnknown: return absl::StrCat(kind, ": unknown");
  }
  return kind;
}

// In every vault that the policies of its workload name.
bool IsCompliant(const EmState& em, const v1::Backup& backup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const v1::WorkloadSpec* spec = FindWorkload(estate, backup.workload());
  if (spec == nullptr || backup.vaults().empty() || backup.trashed()) return false;
  for (const std::string& name : spec->policies()) {
    const v1::PolicySpec* policy = FindPolicy(estate, name);
    if (policy == nullptr) continue;
    for (const std::string& vault : policy->vaults()) {
      if (absl::c_linear_search(backup.vaults(), vault)) continue;
      return false;
    }
  }
  return true;
}

// What went wrong with the workload's newest backup, and is not put right yet. False: nothing.
bool AddBackupAlarms(const EmState& em, const std::string& workload, v1::StatusReply* reply)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto later = [](const google::protobuf::Timestamp& a,
                        const google::protobuf::Timestamp& b) {
    return rpc::FromTimestamp(a) > rpc::FromTimestamp(b);
  };
  const int before = reply->alarms_size();
  const v1::Run* last = nullptr;
  for (const auto& [id, record] : em.catalog->runs()) {
    const v1::Run& run = record.run();
    if (run.kind() != "backup" || run.workload() != workload || IsOpenRun(record) ||
        !record.orphan_node().empty())
      continue;
    if (last == nullptr || later(run.ended(), last->ended())) last = &run;
  }
  if (last != nullptr && last->outcome() == v1::Outcome::FAILED) {
    reply->add_alarms(absl::StrCat("workload ", workload, ": its last backup failed: ",
                                   last->error(), "; `ember backup run ", workload, "`"));
  }
  const rec::BackupRecord* newest = nullptr;
  for (auto it = em.catalog->backups().lower_bound(absl::StrCat(workload, "/"));
       it != em.catalog->backups().end() && it->second.backup().workload() == workload; ++it) {
    const v1::Backup& backup = it->second.backup();
    if (!IsStored(backup) || backup.trashed() || backup.orphan()) continue;
    if (newest == nullptr || later(backup.created(), newest->backup().created()))
      newest = &it->second;
  }
  if (newest != nullptr && newest->restore_failed()) {
    reply->add_alarms(absl::StrCat("workload ", workload, ": its newest backup ",
                                   newest->backup().id(), " is damaged: ", newest->backup().error(),
                                   "; `ember backup run ", workload, "`"));
  }
  return reply->alarms_size() > before;
}

// Its agent has had the time to bring it.
bool LacksExport(const EmState& em, const v1::Vault& vault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const WantedExport& wanted = em.board.wanted_export;
  const absl::Duration since = em.clock->Monotonic() - wanted.since;
  if (vault.state() != "OK" || wanted.number == 0 ||
      since < absl::Seconds(10 * kExportFetchSeconds))
    return false;
  const v1::VaultFact& fact = em.board.nodes.at(vault.node()).vaults.at(vault.name());
  return fact.export_number() < wanted.number;
}

void AddAlarms(const EmState& em, v1::StatusReply* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (em.catalog->meta().observing()) {
    reply->add_alarms(
        "OBSERVING, nothing is decided or backed up: see who has been heard, then `ember recovery "
        "arm`");
  }
  if (em.catalog->freeze().frozen()) {
    reply->add_alarms(
        absl::StrCat("FROZEN, no automatic recovery: ", em.catalog->freeze().reason()));
  }
  if (em.catalog->freeze().maintenance())
    reply->add_alarms("MAINTENANCE of the whole estate: nothing is recovered");
  for (const v1::Node& node : reply->nodes()) {
    const bool bad = node.state() == v1::NodeState::SUSPECT ||
                     node.state() == v1::NodeState::UNREACHABLE ||
                     node.state() == v1::NodeState::DEAD;
    if (InMaintenance(em, node.name())) continue;
    if (bad)
      reply->add_alarms(
          absl::StrCat("node ", node.name(), " is ", v1::NodeState::Value_Name(node.state())));
    if (std::abs(node.clock_skew_seconds()) > kClockSkewWarnSeconds) {
      reply->add_alarms(absl::StrCat("node ", node.name(), ": its clock is off by ",
                                     static_cast<int64_t>(node.clock_skew_seconds()), " s"));
    }
  }
  for (const v1::Workload& workload : reply->workloads()) {
    const auto state = workload.state();
    const bool expected = InMaintenance(em, workload.node());
    if ((state == v1::WorkloadState::DEAD && !expected) || state == v1::WorkloadState::ESCALATED ||
        state == v1::WorkloadState::QUARANTINED) {
      reply->add_alarms(absl::StrCat("workload ", workload.name(), " is ",
                                     v1::WorkloadState::Value_Name(state), ": ",
                                     workload.message()));
    }
    for (const v1::LeftCopy& left : workload.left()) {
      if (left.problem().empty()) continue;
      reply->add_alarms(absl::StrCat("workload ", workload.name(), ": what ", left.node(),
                                     " was left with is not kept: ", left.problem(),
                                     "; it is still there"));
    }
    if (!workload.rpo_met() && !workload.last_backup().empty()) {
      reply->add_alarms(absl::StrCat("workload ", workload.name(),
                                     ": its newest good backup is older than its RPO"));
    }
    const v1::WorkloadSpec* spec = em.catalog->FindWorkload(workload.name());
    const bool has_data = spec != nullptr && !spec->sources().empty();
    const bool explained = AddBackupAlarms(em, workload.name(), reply);
    if (has_data && workload.last_backup().empty() && !explained) {
      reply->add_alarms(absl::StrCat("workload ", workload.name(),
                                     ": it has no backup that is whole and verified; `ember "
                                     "backup run ",
                                     workload.name(), "`"));
    }
  }
  std::map<std::string, int> elsewhere;  // by vault
  for (const auto& [id, backup] : em.catalog->backups())
    if (IsStored(backup.backup()) && !IsDiskThere(em, backup)) ++elsewhere[backup.vault()];
  for (const auto& [vault, backups] : elsewhere) {
    reply->add_alarms(absl::StrCat("vault ", vault, ": another disk is in its place, ", backups,
                                   " backups are not on it; mount the old one, or fill this one: "
                                   "`ember vault replicate OTHER ",
                                   vault, "`"));
  }
  for (const v1::Vault& vault : reply->vaults()) {
    if (vault.state() != "OK")
      reply->add_alarms(absl::StrCat("vault ", vault.name(), ": ", vault.state()));
    if (LacksExport(em, vault)) {
      reply->add_alarms(absl::StrCat("vault ", vault.name(),
                                     ": it did not take the newest export of the "
                                     "catalog; see the log of node ",
                                     vault.node()));
    }
    if (vault.rolled_back()) {
      reply->add_alarms(absl::StrCat(
          "vault ", vault.name(),
          ": an older state of its disk was put back, what it took since then is lost; "
          "`ember vault check ",
          vault.name(), "`"));
    }
    if (vault.damaged_records() > 0) {
      reply->add_alarms(absl::StrCat("vault ", vault.name(), ": ", vault.damaged_records(),
                                     " damaged records; the next backup sends again what it can"));
    }
    for (const auto& [job, last] :
         {std::pair("check", vault.last_check()), std::pair("gc", vault.last_gc()),
          std::pair("replication", vault.last_replication())}) {
      if (last.outcome() == v1::Outcome::FAILED)
        reply->add_alarms(
            absl::StrCat("vault ", vault.name(), ": its last ", job, " failed: ", last.error()));
    }
  }
}

}  // namespace

v1::Node NodeWire(const EmState& em, const rec::NodeRecord& node) {
  v1::Node wire;
  wire.set_name(node.name());
  wire.set_state(node.state());
  if (node.has_last_beat()) *wire.mutable_last_beat() = node.last_beat();
  wire.set_version(node.version());
  wire.set_address(node.address());
  const auto heard = em.board.nodes.find(node.name());
  if (heard != em.board.nodes.end() && heard->second.last_beat_wall != absl::InfinitePast()) {
    *wire.mutable_last_beat() = rpc::ToTimestamp(heard->second.last_beat_wall);
    wire.set_version(heard->second.version);
    wire.set_address(heard->second.address);
    wire.set_clock_skew_seconds(heard->second.clock_skew_seconds);
  }
  wire.set_maintenance(node.maintenance());
  if (node.has_maintenance_until()) *wire.mutable_maintenance_until() = node.maintenance_until();
  if (node.has_certificate_expires())
    *wire.mutable_certificate_expires() = node.certificate_expires();
  for (const auto& [name, workload] : em.catalog->workloads()) {
    if (workload.node() == node.name()) wire.add_workloads(name);
  }
  wire.set_drained(node.has_drained());
  if (heard != em.board.nodes.end())
    wire.set_memory_available_bytes(heard->second.memory_available_bytes);
  if (node.state() != v1::NodeState::ALIVE) {
    for (const v1::PeerSight& sight : SightsOf(em, node.name())) *wire.add_sights() = sight;
  }
  return wire;
}

v1::Workload WorkloadWire(const EmState& em, const v1::WorkloadSpec& spec) {
  v1::Workload wire;
  wire.set_name(spec.name());
  wire.set_home_node(spec.node());
  wire.set_rpo_seconds(spec.rpo_seconds());
  wire.set_rto_seconds(spec.rto_seconds());
  wire.set_criticality(spec.criticality());
  *wire.mutable_depends_on() = spec.depends_on();
  wire.set_last_recovery_seconds(-1);
  wire.set_last_backup_age_seconds(-1);
  const auto it = em.catalog->workloads().find(spec.name());
  if (it == em.catalog->workloads().end()) return wire;
  const rec::WorkloadRecord& record = it->second;
  wire.set_node(record.node());
  wire.set_state(record.state());
  wire.set_epoch(record.epoch());
  wire.set_message(record.message());
  wire.set_health(HealthText(spec, JudgeNow(em, spec, record)));
  if (const rec::RecoveryRecord* shown = RecoveryToShow(em, record)) {
    wire.set_recovery(shown->recovery().id());
    wire.set_next_command(shown->recovery().next_command());
    *wire.mutable_diagnostics() = shown->recovery().diagnostics();
  }
  if (record.last_recovery_seconds() > 0)
    wire.set_last_recovery_seconds(record.last_recovery_seconds());
  const std::vector<const rec::BackupRecord*> good = GoodBackups(em, spec.name());
  if (!good.empty()) {
    wire.set_last_backup(good[0]->backup().id());
    wire.set_last_backup_age_seconds(absl::ToDoubleSeconds(AgeOf(*good[0], em.clock->Now())));
  }
  const bool needs_backup = !spec.sources().empty() && spec.rpo_seconds() > 0;
  wire.set_rto_met(spec.rto_seconds() <= 0 ||
                   record.last_recovery_seconds() <= static_cast<double>(spec.rto_seconds()));
  wire.set_rpo_met(!needs_backup ||
                   (!good.empty() && wire.last_backup_age_seconds() <= spec.rpo_seconds()));
  const absl::Time next = NextBackup(em, spec);
  if (next != absl::InfiniteFuture()) *wire.mutable_next_backup() = rpc::ToTimestamp(next);
  for (auto b = em.catalog->backups().lower_bound(absl::StrCat(spec.name(), "/"));
       b != em.catalog->backups().end() && b->second.backup().workload() == spec.name(); ++b) {
    wire.set_backups(wire.backups() + (b->second.backup().trashed() ? 0 : 1));
  }
  for (const rec::LeftData& data : record.left()) {
    v1::LeftCopy* left = wire.add_left();
    left->set_node(data.node());
    *left->mutable_since() = data.since();
    left->set_recovery(data.recovery());
    left->set_backup_id(data.backup_id());
    left->set_problem(data.problem());
  }
  return wire;
}

v1::Backup BackupWire(const EmState& em, const rec::BackupRecord& backup) {
  v1::Backup wire = backup.backup();
  wire.set_age_seconds(absl::ToDoubleSeconds(AgeOf(backup, em.clock->Now())));
  wire.set_damaged(backup.restore_failed());
  if (!IsDiskThere(em, backup)) {
    *wire.mutable_vaults() = backup.copies();
    if (backup.copies().empty()) {
      wire.set_damaged(true);
      wire.set_verified(false);
      wire.set_error(
          absl::StrCat("another disk is in the place of its vault '", backup.vault(), "'"));
    }
  }
  wire.set_compliant(IsCompliant(em, wire));
  return wire;
}

void AddRetention(const EmState& em, const std::string& workload, v1::ListBackupsReply* reply) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const v1::WorkloadSpec* spec = FindWorkload(estate, workload);
  for (const v1::PolicySpec& policy : estate.policies()) {
    if (spec != nullptr && !absl::c_linear_search(spec->policies(), policy.name())) continue;
    if (policy.has_keep())
      reply->add_retention(absl::StrCat(policy.name(), " keeps ", KeepText(policy.keep())));
  }
}

v1::Run RunWire(const EmState& em, const rec::RunRecord& run) {
  v1::Run wire = run.run();
  const auto progress = em.board.progress.find(run.order_id());
  if (progress != em.board.progress.end()) *wire.mutable_progress() = progress->second;
  return wire;
}

v1::Vault VaultWire(const EmState& em, const v1::VaultSpec& vault) {
  v1::Vault wire;
  wire.set_name(vault.name());
  wire.set_node(vault.node());
  wire.set_path(vault.path());
  wire.set_offsite(vault.offsite());
  if (const auto record = em.catalog->vaults().find(vault.name());
      record != em.catalog->vaults().end()) {
    wire.set_rolled_back(record->second.rolled_back());
    if (record->second.has_last_check()) *wire.mutable_last_check() = record->second.last_check();
    if (record->second.has_last_gc()) *wire.mutable_last_gc() = record->second.last_gc();
    if (record->second.has_last_replication())
      *wire.mutable_last_replication() = record->second.last_replication();
  }
  const auto node = em.board.nodes.find(vault.node());
  const bool alive = AddressOf(em, vault.name()).ok();
  if (!alive || node == em.board.nodes.end()) {
    wire.set_state(absl::StrCat("its node ", vault.node(), " is not ALIVE"));
    return wire;
  }
  const auto fact = node->second.vaults.find(vault.name());
  if (fact == node->second.vaults.end()) {
    wire.set_state("not opened yet");
    return wire;
  }
  wire.set_state(fact->second.problem().empty() ? "OK" : fact->second.problem());
  wire.set_free_bytes(fact->second.free_bytes());
  wire.set_used_bytes(fact->second.used_bytes());
  wire.set_backups(fact->second.backups());
  wire.set_trashed_backups(fact->second.trashed_backups());
  wire.set_trashed_bytes(fact->second.trashed_bytes());
  wire.set_damaged_records(fact->second.damaged_records());
  wire.set_vault_id(fact->second.vault_id());
  if (fact->second.has_export_made()) *wire.mutable_last_export() = fact->second.export_made();
  return wire;
}

v1::Em EmWire(const EmState& em) {
  v1::Em self;
  self.set_version(kVersion);
  self.set_estate_id(em.catalog->meta().estate_id());
  *self.mutable_started() = rpc::ToTimestamp(em.board.started);
  self.set_frozen(em.catalog->freeze().frozen());
  self.set_frozen_reason(em.catalog->freeze().reason());
  self.set_epoch(em.catalog->meta().em_epoch());
  self.set_tick_millis_max(em.board.tick_millis_max);
  *self.mutable_now() = rpc::ToTimestamp(em.clock->Now());
  self.set_observing(em.catalog->meta().observing());
  const record::v1::FreezeRecord& freeze = em.catalog->freeze();
  self.set_maintenance(freeze.maintenance());
  if (freeze.has_maintenance_until())
    *self.mutable_maintenance_until() = freeze.maintenance_until();
  return self;
}

v1::StatusReply StatusWire(const EmState& em) {
  v1::StatusReply reply;
  *reply.mutable_em() = EmWire(em);
  for (const auto& [name, node] : em.catalog->nodes()) *reply.add_nodes() = NodeWire(em, node);
  for (const v1::WorkloadSpec& spec : em.catalog->estate().estate().workloads())
    *reply.add_workloads() = WorkloadWire(em, spec);
  for (const v1::VaultSpec& vault : em.catalog->estate().estate().vaults())
    *reply.add_vaults() = VaultWire(em, vault);
  for (const v1::Workload& workload : reply.workloads()) {
    if (!workload.recovery().empty())
      *reply.add_recoveries() = em.catalog->recoveries().at(workload.recovery()).recovery();
  }
  AddAlarms(em, &reply);
  return reply;
}

}  // namespace ember::controller
