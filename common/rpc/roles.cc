// The method to role table: what each role may call. A method without a row here cannot be called
// by anybody.
#include "common/rpc/identity.h"

namespace ember::rpc {
namespace {

// A set of roles, one bit each.
using Roles = unsigned;
constexpr Roles Only(v1::Role::Value role) { return 1u << role; }

constexpr Roles kNone = Only(v1::Role::NONE);
constexpr Roles kAgent = Only(v1::Role::AGENT);
constexpr Roles kController = Only(v1::Role::CONTROLLER);
constexpr Roles kAdmin = Only(v1::Role::ADMIN);
constexpr Roles kOperator = Only(v1::Role::OPERATOR) | kAdmin;  // and above
constexpr Roles kViewer = Only(v1::Role::VIEWER) | kOperator;   // and above

struct Row {
  absl::string_view method;
  Roles roles;
};

constexpr Row kTable[] = {
    // The token in the request is the proof.
    {"/ember.v1.EnrolService/Join", kNone | kAgent | kViewer | kController},

    {"/ember.v1.AgentService/Heartbeat", kAgent},
    {"/ember.v1.AgentService/RenewCertificate", kAgent},
    {"/ember.v1.AgentService/ReleaseKeys", kAgent},
    {"/ember.v1.AgentService/FetchCatalogExport", kAgent},

    {"/ember.v1.PeerService/HasLease", kAgent},

    {"/ember.v1.EstateService/Apply", kAdmin},
    {"/ember.v1.EstateService/Export", kViewer},
    {"/ember.v1.EstateService/Status", kViewer},
    {"/ember.v1.EstateService/RenewIdentity", kViewer},

    {"/ember.v1.FleetService/CreateToken", kAdmin},
    {"/ember.v1.FleetService/ListNodes", kViewer},
    {"/ember.v1.FleetService/GetNode", kViewer},
    {"/ember.v1.FleetService/SetMaintenance", kOperator},
    {"/ember.v1.FleetService/SetEstateMaintenance", kOperator},
    {"/ember.v1.FleetService/RemoveNode", kAdmin},
    {"/ember.v1.FleetService/DrainNode", kOperator},
    {"/ember.v1.FleetService/MoveWorkload", kOperator},
    {"/ember.v1.FleetService/ListWorkloads", kViewer},
    {"/ember.v1.FleetService/GetWorkload", kViewer},
    {"/ember.v1.FleetService/RestartWorkload", kOperator},
    {"/ember.v1.FleetService/HoldWorkload", kOperator},
    {"/ember.v1.FleetService/Beat", kAgent | kOperator},
    {"/ember.v1.FleetService/ListVaults", kViewer},

    {"/ember.v1.ProtectionService/RunBackup", kOperator},
    {"/ember.v1.ProtectionService/Restore", kOperator},
    {"/ember.v1.ProtectionService/VerifyBackup", kOperator},
    // The names in a backup are data: who may read them may restore it.
    {"/ember.v1.ProtectionService/ListFiles", kOperator},
    {"/ember.v1.ProtectionService/DiffBackups", kOperator},
    {"/ember.v1.ProtectionService/ReadFile", kOperator},
    {"/ember.v1.ProtectionService/PlanClean", kViewer},
    {"/ember.v1.ProtectionService/Clean", kAdmin},
    {"/ember.v1.ProtectionService/ListNextRuns", kViewer},
    {"/ember.v1.ProtectionService/GetRun", kViewer},
    {"/ember.v1.ProtectionService/CancelRun", kOperator},
    {"/ember.v1.ProtectionService/ListBackups", kViewer},
    {"/ember.v1.ProtectionService/GetBackup", kViewer},
    {"/ember.v1.ProtectionService/PinBackup", kOperator},
    {"/ember.v1.ProtectionService/DeleteBackup", kAdmin},
    {"/ember.v1.ProtectionService/UndeleteBackup", kOperator},
    {"/ember.v1.ProtectionService/RunVaultJob", kOperator},

    {"/ember.v1.RecoveryService/ListRecoveries", kViewer},
    {"/ember.v1.RecoveryService/GetRecovery", kViewer},
    {"/ember.v1.RecoveryService/ApproveRecovery", kOperator},
    {"/ember.v1.RecoveryService/CancelRecovery", kOperator},
    {"/ember.v1.RecoveryService/PlanRecovery", kViewer},
    {"/ember.v1.RecoveryService/Arm", kAdmin},

    {"/ember.v1.MessageService/Send", kAgent | kOperator},
    {"/ember.v1.MessageService/Receive", kAgent | kOperator},
    {"/ember.v1.MessageService/Confirm", kAgent | kOperator},
    {"/ember.v1.MessageService/ListMessages", kOperator},

    {"/ember.v1.EventService/ListEvents", kViewer},
    {"/ember.v1.EventService/VerifyLog", kViewer},

    // An admin reads a vault when there is no controller to ask; nobody but agents writes.
    {"/ember.v1.VaultService/OpenSession", kAgent},
    {"/ember.v1.VaultService/Have", kAgent},
    {"/ember.v1.VaultService/Upload", kAgent},
    {"/ember.v1.VaultService/Commit", kAgent},
    {"/ember.v1.VaultService/GetBackup", kAgent | kAdmin},
    {"/ember.v1.VaultService/ListBackups", kAgent | kAdmin},
    {"/ember.v1.VaultService/Read", kAgent | kAdmin},
    {"/ember.v1.VaultService/ReadRefs", kAgent | kAdmin},
};

}  // namespace

std::vector<v1::Role::Value> RolesFor(absl::string_view method) {
  std::vector<v1::Role::Value> roles;
  for (const Row& row : kTable) {
    if (row.method != method) continue;
    for (const v1::Role::Value role : {v1::Role::NONE, v1::Role::AGENT, v1::Role::VIEWER,
                                       v1::Role::OPERATOR, v1::Role::ADMIN, v1::Role::CONTROLLER}) {
      if ((row.roles & Only(role)) != 0) roles.push_back(role);
    }
  }
  return roles;
}

std::vector<std::string> MethodsWithRoles() {
  std::vector<std::string> methods;
  for (const Row& row : kTable) methods.emplace_back(row.method);
  return methods;
}

}  // namespace ember::rpc
