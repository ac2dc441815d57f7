#include "controller/fleet/beats.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "controller/fleet/failure_detector.h"
#include "controller/messages/mailbox.h"
#include "controller/protect/reserved_backups.h"
#include "controller/protect/runs.h"
#include "controller/protect/stored_backup.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

bool IsFinal(const v1::OrderUpdate& update) {
  return update.state() == v1::OrderUpdate::DONE || update.state() == v1::OrderUpdate::FAILED;
}

absl::Status RecordOrders(EmState& em, const std::string& node, HeardNode& heard,
                          const v1::HeartbeatRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  Batch batch;
  for (const v1::OrderUpdate& update : request.orders()) {
    if (em.catalog->orders().count(update.order_id()) == 0)
      EMBER_RETURN_IF_ERROR(TakeOfflineBackup(em, node, update));
    const auto order = em.catalog->orders().find(update.order_id());
    if (order == em.catalog->orders().end()) {
      TakeLateBackup(em, node, update, &batch);
      continue;
    }
    if (order->second.node() != node) continue;
    heard.accepted_orders.insert(update.order_id());
    em.board.progress[update.order_id()] = update.progress();
    if (!IsFinal(update) || order->second.finished()) continue;
    rec::OrderRecord record = order->second;
    *record.mutable_last_update() = update;
    record.set_finished(true);
    batch.Put(record);
    em.news = true;
  }
  return em.Commit(batch);
}

absl::Status RecordEvents(EmState& em, const std::string& node, const v1::HeartbeatRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::NodeRecord record = em.catalog->nodes().at(node);
  Batch batch;
  uint64_t high_water = record.acknowledged_event_seq();
  for (const v1::AgentEvent& event : request.events()) {
    if (event.seq() <= high_water) continue;
    const bool of_workload = em.catalog->workloads().count(event.subject()) > 0;
    batch.AddEvent(event.type(), event.subject(), absl::StrCat("[", node, "] ", event.message()),
                   of_workload ? event.subject() : "");
    high_water = event.seq();
  }
  if (high_water == record.acknowledged_event_seq()) return absl::OkStatus();
  record.set_acknowledged_event_seq(high_water);
  batch.Put(record);
  return em.Commit(batch);
}

// True when `now` tells of another start than `before`. What is held does not run, whatever it is.
bool Started(const v1::WorkloadFact& before, const v1::WorkloadFact& now) {
  return now.running() && (!before.running() || before.pid() != now.pid() ||
                           before.epoch() != now.epoch() || before.restarts() < now.restarts());
}

// `restarts_told`: the restarts up to this fact are in the log.
void RecordWorkload(EmState& em, HeardNode& heard, const v1::WorkloadFact& fact, bool restarts_told)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto [entry, first] = heard.workloads.try_emplace(fact.workload());
  HeardWorkload& workload = entry->second;
  if (first || Started(workload.fact, fact)) {
    const auto record = em.catalog->workloads().find(fact.workload());
    workload.started = em.clock->Monotonic();
    workload.taken_over = first && record != em.catalog->workloads().end() &&
                          record->second.state() == v1::WorkloadState::RUNNING;
  }
  const bool differs = workload.fact.healthy() != fact.healthy() ||
                       workload.fact.running() != fact.running() ||
                       workload.fact.consecutive_failures() != fact.consecutive_failures() ||
                       workload.fact.data_missing() != fact.data_missing() ||
                       workload.fact.epoch() != fact.epoch() ||
                       workload.fact.restarts_exhausted() != fact.restarts_exhausted();
  em.news = em.news || differs;
  workload.fact = fact;
  if (fact.running() && restarts_told) workload.restarts_while_running = fact.restarts();
  workload.heard = em.clock->Monotonic();
  if (fact.healthy() && fact.running()) workload.healthy_at = em.clock->Now();
}

absl::Status RecordRestarts(EmState& em, const std::string& node, const HeardNode& heard,
                            const v1::HeartbeatRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  Batch batch;
  for (const v1::WorkloadFact& fact : request.workloads()) {
    const auto before = heard.workloads.find(fact.workload());
    // An exit alone is not a restart: what has lost its data is not started again.
    if (before == heard.workloads.end() || !fact.running() ||
        fact.restarts() <= before->second.restarts_while_running) {
      continue;
    }
    batch.AddEvent("workload.restarted", fact.workload(),
                   absl::StrCat("restarted in place by ", node, " (", fact.restarts(), " times)"),
                   fact.workload());
  }
  return em.Commit(batch);
}

absl::Status RecordSkew(EmState& em, const std::string& node, HeardNode& heard, absl::Duration by)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  heard.clock_skew_seconds = absl::ToDoubleSeconds(by);
  if (std::abs(heard.clock_skew_seconds - heard.clock_skew_told_seconds) <= kClockSkewWarnSeconds)
    return absl::OkStatus();
  const bool skewed = std::abs(heard.clock_skew_seconds) > kClockSkewWarnSeconds;
  Batch batch;
  batch.AddEvent("node.clock", node,
                 skewed
                     ? absl::StrCat("its clock is off by ", std::lround(heard.clock_skew_seconds),
                                    " s; leases and retention do not depend on it")
                     : "its clock is right again");
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  heard.clock_skew_told_seconds = skewed ? heard.clock_skew_seconds : 0;
  return absl::OkStatus();
}

// A node that beats is alive, whether or not there is room to write down what it says: it says it
// again until it is acknowledged.
absl::Status ToleratingFullDisk(const std::string& node, const absl::Status& status) {
  if (!absl::IsResourceExhausted(status)) return status;
  LogError("beats", "what a node said is not recorded yet",
           {{"node", node}, {"error", status.message()}});
  return absl::OkStatus();
}

ConfigVersions& VersionsNow(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  ConfigVersions& versions = em.board.config_versions;
  if (versions.generation == em.catalog->config_generation()) return versions;
  versions = ConfigVersions{.generation = em.catalog->config_generation()};
  for (const auto& [name, node] : em.catalog->nodes()) {
    if (node.revoked()) versions.revoked.push_back(name);
    versions.superseded_serials.insert(versions.superseded_serials.end(),
                                       node.superseded_serials().begin(),
                                       node.superseded_serials().end());
  }
  return versions;
}

std::string FullAddress(const std::string& announced, const std::string& seen_host) {
  return absl::StartsWith(announced, ":") ? absl::StrCat(seen_host, announced) : announced;
}

}  // namespace

absl::Status RecordBeat(EmState& em, const std::string& node, const std::string& seen_address,
                        const v1::HeartbeatRequest& request) {
  if (request.node() != node) {
    return PeerRefused(absl::StrCat("agent ", node),
                       absl::StrCat("its beat says it is '", request.node(), "'"));
  }
  const auto record = em.catalog->nodes().find(node);
  if (record == em.catalog->nodes().end()) return NodeNotFound(node);
  HeardNode& heard = em.board.nodes[node];
  if (heard.boot_id != request.boot_id()) {
    heard.accepted_orders.clear();
    heard.workloads.clear();
    em.news = true;
  }
  const absl::Time now = em.clock->Now();
  const bool first_ever = !record->second.has_last_beat();
  heard.last_beat = em.clock->Monotonic();
  heard.last_beat_wall = now;
  heard.boot_id = request.boot_id();
  heard.host_boot_id = request.host_boot_id();
  heard.version = request.version();
  heard.address = FullAddress(request.data_address(), seen_address);
  heard.config_version = request.config_version();
  heard.controller_epoch = request.controller_epoch();
  std::map<std::string, v1::VaultFact> vaults;
  for (const v1::VaultFact& fact : request.vaults()) {
    // With another disk in a vault, a workload may have no backup any more.
    const auto before = heard.vaults.find(fact.vault());
    if (before == heard.vaults.end() || before->second.vault_id() != fact.vault_id())
      em.board.config_versions.by_node.clear();
    vaults[fact.vault()] = fact;
  }
  heard.vaults = std::move(vaults);
  heard.sights.clear();
  for (const v1::PeerSight& sight : request.sights()) heard.sights[sight.node()] = sight;
  heard.memory_available_bytes = request.memory_available_bytes();
  EMBER_RETURN_IF_ERROR(ToleratingFullDisk(node, RecordOrders(em, node, heard, request)));
  EMBER_RETURN_IF_ERROR(ToleratingFullDisk(node, RecordEvents(em, node, request)));
  EMBER_RETURN_IF_ERROR(ToleratingFullDisk(node, RecordSpooled(em, node, request)));
  const absl::Status restarts = RecordRestarts(em, node, heard, request);
  EMBER_RETURN_IF_ERROR(ToleratingFullDisk(node, restarts));
  EMBER_RETURN_IF_ERROR(ToleratingFullDisk(
      node, RecordSkew(em, node, heard, rpc::FromTimestamp(request.sent_at()) - now)));
  for (const v1::WorkloadFact& fact : request.workloads())
    RecordWorkload(em, heard, fact, restarts.ok());
  if (first_ever || record->second.state() != v1::NodeState::ALIVE) em.news = true;
  return absl::OkStatus();
}

v1::NodeConfig ConfigFor(EmState& em, const std::string& node) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const bool has_majority = HasFailoverMajority(estate);
  v1::NodeConfig config;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    const auto record = em.catalog->workloads().find(spec.name());
    if (record == em.catalog->workloads().end()) continue;
    const rec::WorkloadRecord& workload = record->second;
    const auto& standby = spec.recovery().standby();
    const bool placed = workload.node() == node;
    const bool known = placed || spec.node() == node ||
                       std::find(standby.begin(), standby.end(), node) != standby.end();
    if (!known) continue;
    v1::Assignment* assignment = config.add_workloads();
    *assignment->mutable_spec() = spec;
    assignment->set_epoch(workload.epoch());
    assignment->set_run(placed && !workload.held() && !workload.hold_recovery()
                            ? v1::Assignment::RUN
                            : v1::Assignment::HOLD);
    assignment->set_self_fence(SelfFences(spec, has_majority));
    if (assignment->run() == v1::Assignment::RUN) {
      v1::OfflineBackups offline = OfflineBackupsOf(em, workload);
      if (!offline.items().empty()) *assignment->mutable_offline() = std::move(offline);
    }
    if (placed && !spec.sources().empty()) {
      const std::vector<const rec::BackupRecord*> good = GoodBackups(em, spec.name());
      assignment->set_expect_data(!good.empty() && good[0]->backup().files() > 0);
    }
  }
  for (const v1::VaultSpec& vault : estate.vaults()) {
    if (vault.node() == node) *config.add_vaults() = vault;
  }
  const ConfigVersions& shared = VersionsNow(em);
  config.mutable_revoked()->Assign(shared.revoked.begin(), shared.revoked.end());
  config.mutable_superseded_serials()->Assign(shared.superseded_serials.begin(),
                                              shared.superseded_serials.end());
  const bool votes = std::any_of(config.workloads().begin(), config.workloads().end(),
                                 [](const v1::Assignment& each) { return each.self_fence(); });
  const bool few = em.catalog->nodes().size() <= kPeersForAllMax;
  for (const auto& [name, peer] : em.catalog->nodes()) {
    if (!votes && !few) break;
    if (name == node || peer.revoked() || peer.address().empty()) continue;
    v1::Peer* out = config.add_peers();
    out->set_node(name);
    out->set_address(peer.address());
  }
  *config.mutable_settings() = estate.settings();
  const std::string digest = Sha256(config.SerializeAsString());
  uint64_t version = 0;
  for (int i = 0; i < 8; ++i) version = version << 8 | static_cast<unsigned char>(digest[i]);
  config.set_version(version | 1);  // 0 means "none"
  return config;
}

uint64_t ConfigVersionFor(EmState& em, const std::string& node) {
  const auto known = VersionsNow(em).by_node.find(node);
  if (known != em.board.config_versions.by_node.end()) return known->second;
  return em.board.config_versions.by_node[node] = ConfigFor(em, node).version();
}

bool HasNewsFor(EmState& em, const std::string& node) {
  const auto heard = em.board.nodes.find(node);
  if (heard == em.board.nodes.end() || em.catalog->meta().observing()) return false;
  for (const auto& [id, order] : em.catalog->orders()) {
    if (order.node() != node || order.finished()) continue;
    if (order.cancelled() || heard->second.accepted_orders.count(id) == 0) return true;
  }
  return heard->second.config_version != ConfigVersionFor(em, node);
}

v1::HeartbeatReply ComposeReply(EmState& em, const std::string& node,
                                const v1::HeartbeatRequest& request) {
  v1::HeartbeatReply reply;
  const absl::Duration lease = PolicyFrom(em.catalog->estate().estate().settings()).lease;
  reply.set_lease_millis(absl::ToInt64Milliseconds(lease));
  reply.set_em_epoch(em.catalog->meta().em_epoch());
  // What the agent has, and does, may be later than what an observing controller knows.
  if (em.catalog->meta().observing()) return reply;
  reply.set_export_number(em.board.wanted_export.number);
  if (em.catalog->nodes().at(node).message_spool() == request.message_spool())
    reply.set_acknowledged_message_seq(em.catalog->nodes().at(node).acknowledged_message_seq());
  if (ConfigVersionFor(em, node) != request.config_version()) {
    *reply.mutable_config() = ConfigFor(em, node);
    em.board.config_versions.by_node[node] = reply.config().version();
  }
  HeardNode& heard = em.board.nodes.at(node);
  // Until it says what it has stored, either may be in force.
  if (reply.has_config()) heard.config_version = 0;
  if (em.clock->Monotonic() - heard.leased_beat >= SureLease(lease))
    heard.leased_since = heard.last_beat;
  heard.leased_beat = heard.last_beat;
  for (const auto& [id, order] : em.catalog->orders()) {
    if (order.node() != node || order.finished()) continue;
    if (order.cancelled()) {
      reply.add_cancelled_orders(id);
    } else if (heard.accepted_orders.count(id) == 0) {
      *reply.add_orders() = order.order();
    }
  }
  for (const v1::OrderUpdate& update : request.orders()) {
    if (IsReservedOrder(em, node, update.order_id())) continue;  // could not be recorded yet
    const auto order = em.catalog->orders().find(update.order_id());
    const bool recorded = order != em.catalog->orders().end() && order->second.finished();
    const bool unknown = order == em.catalog->orders().end() || order->second.node() != node;
    if (IsFinal(update) ? recorded || unknown : unknown)
      reply.add_acknowledged_orders(update.order_id());
    // Nobody waits for it any more: the agent should stop working on it.
    if (!IsFinal(update) && unknown) reply.add_cancelled_orders(update.order_id());
  }
  reply.set_acknowledged_event_seq(em.catalog->nodes().at(node).acknowledged_event_seq());
  for (const std::string& name : em.board.silent)
    if (name != node) reply.add_look_at(name);
  return reply;
}

}  // namespace ember::controller
