#include "controller/fleet/told.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "controller/fleet/beats.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

bool LacksFence(const EmState& em, const v1::Assignment& assignment, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto it = em.catalog->workloads().find(assignment.spec().name());
  return assignment.self_fence() && it != em.catalog->workloads().end() &&
         it->second.node() == node && !it->second.self_fences();
}

// Cheap to ask at every tick.
bool MayLackFence(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto& specs = em.catalog->estate().estate().workloads();
  return std::any_of(specs.begin(), specs.end(),
                     [&](const v1::WorkloadSpec& spec) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                       const auto it = em.catalog->workloads().find(spec.name());
                       return it != em.catalog->workloads().end() && it->second.node() == node &&
                              !it->second.self_fences() && SelfFences(spec);
                     });
}

absl::Status RecordFor(EmState& em, const std::string& node, HeardNode& heard)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::NodeConfig config = ConfigFor(em, node);
  if (config.version() != heard.config_version) return absl::OkStatus();
  Batch batch;
  rec::NodeRecord record = em.catalog->nodes().at(node);
  std::vector<std::string> peers;
  for (const v1::Peer& peer : config.peers()) peers.push_back(peer.node());
  if (!std::equal(peers.begin(), peers.end(), record.peers_told().begin(),
                  record.peers_told().end())) {
    record.mutable_peers_told()->Assign(peers.begin(), peers.end());
    batch.Put(record);
  }
  for (const v1::Assignment& assignment : config.workloads()) {
    if (!LacksFence(em, assignment, node)) continue;
    rec::WorkloadRecord workload = em.catalog->workloads().at(assignment.spec().name());
    workload.set_self_fences(true);
    batch.Put(workload);
  }
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  heard.told_version = config.version();
  return absl::OkStatus();
}

}  // namespace

absl::Status RecordTold(EmState& em) {
  for (auto& [node, heard] : em.board.nodes) {
    const auto record = em.catalog->nodes().find(node);
    const bool there = record != em.catalog->nodes().end() &&
                       record->second.state() == v1::NodeState::ALIVE && heard.config_version != 0;
    if (!there) continue;
    if (heard.config_version != heard.told_version || MayLackFence(em, node))
      EMBER_RETURN_IF_ERROR(RecordFor(em, node, heard));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
