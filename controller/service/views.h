// Records to wire messages: the only place where the catalog's shape meets the CLI's.
#ifndef EMBER_CONTROLLER_SERVICE_VIEWS_H_
#define EMBER_CONTROLLER_SERVICE_VIEWS_H_

#include <string>

#include "controller/em_state.h"
#include "ember/v1/control.pb.h"

namespace ember::controller {

v1::Node NodeWire(const EmState& em, const record::v1::NodeRecord& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::Workload WorkloadWire(const EmState& em, const v1::WorkloadSpec& spec)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::Backup BackupWire(const EmState& em, const record::v1::BackupRecord& backup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
// A line for each policy of the workload (of all, when it is empty) with rules of retention.
void AddRetention(const EmState& em, const std::string& workload, v1::ListBackupsReply* reply)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::Run RunWire(const EmState& em, const record::v1::RunRecord& run)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::Vault VaultWire(const EmState& em, const v1::VaultSpec& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::Em EmWire(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
v1::StatusReply StatusWire(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_SERVICE_VIEWS_H_
