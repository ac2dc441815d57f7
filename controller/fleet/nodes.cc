#include "controller/fleet/nodes.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/maintenance.h"
#include "controller/notify/notices.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Wall-clock instants of the catalog on the monotonic scale of the board.
absl::Duration OnBoard(const EmState& em, const google::protobuf::Timestamp& instant)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const absl::Time time = rpc::FromTimestamp(instant);
  if (time == absl::InfinitePast()) return -absl::InfiniteDuration();
  return em.clock->Monotonic() - (em.clock->Now() - time);
}

FleetView ViewOf(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  FleetView view;
  view.now = em.clock->Monotonic();
  view.trusted_from = em.board.trusted_from;
  const rec::FreezeRecord& freeze = em.catalog->freeze();
  view.freeze.frozen = freeze.frozen();
  view.freeze.reason = freeze.reason();
  view.freeze.thaw_from =
      freeze.has_thaw_from() ? OnBoard(em, freeze.thaw_from()) : absl::InfiniteDuration();
  for (const auto& [name, record] : em.catalog->nodes()) {
    NodeView node;
    node.name = name;
    node.state = record.state();
    node.maintenance = InMaintenance(em, name);
    node.revoked = record.revoked();
    node.ever_beat = record.has_last_beat();
    node.last_beat = -absl::InfiniteDuration();
    const auto heard = em.board.nodes.find(name);
    if (heard != em.board.nodes.end()) node.last_beat = heard->second.last_beat;
    node.ever_beat = node.ever_beat || node.last_beat != -absl::InfiniteDuration();
    node.state_since = OnBoard(em, record.state_since());
    node.recorded_beat = OnBoard(em, record.last_beat());
    if (heard != em.board.nodes.end()) {
      node.leased_beat = heard->second.leased_beat;
      node.leased_since = heard->second.leased_since;
    }
    view.nodes.push_back(std::move(node));
  }
  return view;
}

// What others say of a silent node; empty when none was asked, or none has answered yet.
std::string SightsText(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::vector<std::string> reach;
  std::vector<std::string> miss;
  for (const v1::PeerSight& sight : SightsOf(em, node))
    (sight.answers() ? reach : miss).push_back(sight.node());
  if (reach.empty() && miss.empty()) return "";
  if (reach.empty())
    return absl::StrCat("; ", absl::StrJoin(miss, ", "), " cannot reach it either");
  return absl::StrCat(
      "; ", absl::StrJoin(reach, ", "), " can reach it: its link to the controller is cut",
      miss.empty() ? "" : absl::StrCat(" (", absl::StrJoin(miss, ", "), " cannot)"));
}

void WriteNode(const EmState& em, const NodeVerdict& verdict, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::NodeRecord node = em.catalog->nodes().at(verdict.name);
  const absl::Time now = em.clock->Now();
  const auto heard = em.board.nodes.find(verdict.name);
  const bool changed = node.state() != verdict.state;
  bool flush = changed;
  if (heard != em.board.nodes.end() && heard->second.last_beat_wall != absl::InfinitePast()) {
    const absl::Time stored = rpc::FromTimestamp(node.last_beat());
    flush = flush || heard->second.last_beat_wall - stored > absl::Seconds(kLastSeenFlushSeconds);
    *node.mutable_last_beat() = rpc::ToTimestamp(heard->second.last_beat_wall);
    node.set_address(heard->second.address);
    node.set_version(heard->second.version);
    node.set_boot_id(heard->second.boot_id);
    node.set_host_boot_id(heard->second.host_boot_id);
    node.set_clock_skew_seconds(heard->second.clock_skew_seconds);
  }
  if (EndMaintenanceInTime(now, &node)) {
    batch->AddEvent("node.maintenance", node.name(), "maintenance ended by itself");
    TellOfDead(node, batch);
    flush = true;
  }
  if (changed) {
    // Whatever proved that it was off is of the past.
    if (verdict.state == v1::NodeState::ALIVE && node.fence().order_id().empty())
      node.clear_fence();
    batch->AddEvent(
        "node.state", node.name(),
        absl::StrCat(
            v1::NodeState::Value_Name(node.state()), " -> ",
            v1::NodeState::Value_Name(verdict.state),
            verdict.state == v1::NodeState::ALIVE || verdict.state == v1::NodeState::REVOKED
                ? ""
                : absl::StrCat(
                      ", silent for ",
                      absl::FormatDuration(absl::Trunc(verdict.silent_for, absl::Seconds(1))),
                      SightsText(em, node.name()),
                      InMaintenance(em, node.name()) ? kInMaintenance : "")));
    node.set_state(verdict.state);
    *node.mutable_state_since() = rpc::ToTimestamp(now);
  }
  if (flush) batch->Put(node);
}

void WriteFreeze(EmState& em, const FreezeView& freeze, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::FreezeRecord record = em.catalog->freeze();
  if (EndMaintenanceInTime(em.clock->Now(), &record)) {
    batch->AddEvent("estate.maintenance", "estate", "maintenance ended by itself");
    for (const auto& [name, node] : em.catalog->nodes()) TellOfDead(node, batch);
    batch->Put(record);
  }
  const bool flipped = record.frozen() != freeze.frozen;
  const bool thawing = freeze.frozen && freeze.thaw_from != absl::InfiniteDuration();
  if (!flipped && record.has_thaw_from() == thawing) return;
  if (flipped) {
    batch->AddEvent(freeze.frozen ? "estate.frozen" : "estate.thawed", "estate",
                    freeze.frozen ? absl::StrCat("no automatic recovery: ", freeze.reason)
                                  : "enough nodes are back");
    *record.mutable_since() = rpc::ToTimestamp(em.clock->Now());
    // Nobody is judged by what was missed while frozen.
    if (!freeze.frozen) em.board.trusted_from = em.clock->Monotonic();
  }
  record.set_frozen(freeze.frozen);
  record.set_reason(freeze.reason);
  record.clear_thaw_from();
  if (thawing)
    *record.mutable_thaw_from() =
        rpc::ToTimestamp(em.clock->Now() - (em.clock->Monotonic() - freeze.thaw_from));
  batch->Put(record);
}

}  // namespace

bool InMaintenance(const EmState& em, const std::string& node) {
  if (em.catalog->freeze().maintenance()) return true;
  const auto it = em.catalog->nodes().find(node);
  return it != em.catalog->nodes().end() && it->second.maintenance() && !it->second.revoked();
}

std::vector<v1::PeerSight> SightsOf(const EmState& em, const std::string& node) {
  std::vector<v1::PeerSight> sights;
  for (const auto& [name, heard] : em.board.nodes) {
    const auto sight = heard.sights.find(node);
    const auto peer = em.catalog->nodes().find(name);
    if (sight == heard.sights.end() || peer == em.catalog->nodes().end() ||
        peer->second.state() != v1::NodeState::ALIVE)
      continue;
    sights.push_back(sight->second);
    sights.back().set_node(name);
  }
  return sights;
}

DetectorPolicy PolicyOf(const EmState& em) {
  const rec::EstateRecord& estate = em.catalog->estate();
  DetectorPolicy policy = PolicyFrom(estate.estate().settings());
  if (em.clock->Now() >= rpc::FromTimestamp(estate.former_until())) return policy;
  const DetectorPolicy former = PolicyFrom(estate.former_settings());
  policy.suspect_after = std::max(policy.suspect_after, former.suspect_after);
  policy.unreachable_after = std::max(policy.unreachable_after, former.unreachable_after);
  policy.dead_after = std::max(policy.dead_after, former.dead_after);
  return policy;
}

void TellOfDead(const rec::NodeRecord& node, Batch* batch) {
  if (node.state() != v1::NodeState::DEAD || node.maintenance()) return;
  batch->AddEvent("node.state", node.name(), "still -> DEAD, now that the maintenance is over");
}

absl::Status UpdateNodes(EmState& em) {
  const FleetVerdict verdict = JudgeFleet(ViewOf(em), PolicyOf(em));
  Batch batch;
  em.board.silent.clear();
  for (const NodeVerdict& node : verdict.nodes) {
    WriteNode(em, node, &batch);
    if (node.state == v1::NodeState::SUSPECT || node.state == v1::NodeState::UNREACHABLE)
      em.board.silent.insert(node.name);
  }
  WriteFreeze(em, verdict.freeze, &batch);
  return em.Commit(batch);
}

void SupersedeCertificates(record::v1::NodeRecord& node) {
  auto& superseded = *node.mutable_superseded_serials();
  superseded.MergeFrom(node.valid_serials());
  node.clear_valid_serials();
  const int many = superseded.size() - static_cast<int>(kSupersededSerialsKept);
  if (many > 0) superseded.DeleteSubrange(0, many);
}

LeaseFence LeaseFenceOf(const EmState& em, const std::string& node) {
  std::set<std::string> told;
  if (const auto it = em.catalog->nodes().find(node); it != em.catalog->nodes().end())
    told.insert(it->second.peers_told().begin(), it->second.peers_told().end());
  return JudgeLeaseFence(ViewOf(em), node, told, PolicyOf(em));
}

}  // namespace ember::controller
