// The fleet's part of a tick: who is alive.
#ifndef EMBER_CONTROLLER_FLEET_NODES_H_
#define EMBER_CONTROLLER_FLEET_NODES_H_

#include <string>
#include <vector>

#include "controller/em_state.h"
#include "controller/fleet/failure_detector.h"

namespace ember::controller {

// Judges every node and the freeze, and writes what changed. Ends maintenance that is over.
absl::Status UpdateNodes(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The settings in force, and for as long as leases last that earlier ones granted, the longer
// times.
DetectorPolicy PolicyOf(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What the nodes that are ALIVE see of a silent one; each under its own name.
std::vector<v1::PeerSight> SightsOf(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The silence of `node` is intended: a person said so of it, or of the whole estate.
bool InMaintenance(const EmState& em, const std::string& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Its maintenance is over: nobody was told when it died.
void TellOfDead(const record::v1::NodeRecord& node, Batch* batch);

// From now on no certificate that `node` has is welcome: here, and soon at every agent.
void SupersedeCertificates(record::v1::NodeRecord& node);

// What the silence of `node` proves at this instant.
LeaseFence LeaseFenceOf(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_NODES_H_
