#include "controller/fleet/told.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "controller/fleet/beats.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

bool LacksFence(const rec::WorkloadRecord& workload, const v1::WorkloadSpec& spec,
                bool has_majority) {
  return SelfFences(spec, has_majority) && !workload.self_fences();
}

// Where a workload is whose agent may have stored by now that it fences itself.
std::set<std::string> NodesLackingFences(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::set<std::string> nodes;
  const bool has_majority = HasFailoverMajority(em.catalog->estate().estate());
  for (const v1::WorkloadSpec& spec : em.catalog->estate().estate().workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (it != em.catalog->workloads().end() && LacksFence(it->second, spec, has_majority))
      nodes.insert(it->second.node());
  }
  return nodes;
}

absl::Status RecordFor(EmState& em, const std::string& node, HeardNode& heard)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (ConfigVersionFor(em, node) != heard.config_version) return absl::OkStatus();
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
  const bool has_majority = HasFailoverMajority(em.catalog->estate().estate());
  for (const v1::Assignment& assignment : config.workloads()) {
    rec::WorkloadRecord workload = em.catalog->workloads().at(assignment.spec().name());
    if (workload.node() != node || !LacksFence(workload, assignment.spec(), has_majority)) continue;
    workload.set_self_fences(true);
    batch.Put(workload);
  }
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  heard.told_version = config.version();
  return absl::OkStatus();
}

}  // namespace

absl::Status RecordTold(EmState& em) {
  const std::set<std::string> lacking = NodesLackingFences(em);
  for (auto& [node, heard] : em.board.nodes) {
    const auto record = em.catalog->nodes().find(node);
    const bool there = record != em.catalog->nodes().end() &&
                       record->second.state() == v1::NodeState::ALIVE && heard.config_version != 0;
    if (!there) continue;
    if (heard.config_version != heard.told_version || lacking.count(node) > 0)
      EMBER_RETURN_IF_ERROR(RecordFor(em, node, heard));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
