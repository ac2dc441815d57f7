#include "node-agent/exchange.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::agent {

Exchange::Exchange(Parts parts, Self self) : parts_(parts), self_(std::move(self)) {}

absl::Status Exchange::ApplyStored() {
  EMBER_ASSIGN_OR_RETURN(const v1::NodeConfig config, parts_.state->LoadConfig());
  Apply(config);
  parts_.orders->Release();
  return absl::OkStatus();
}

v1::HeartbeatRequest Exchange::Facts() {
  v1::HeartbeatRequest request;
  request.set_node(self_.node);
  request.set_boot_id(self_.boot_id);
  request.set_seq(++seq_);
  *request.mutable_sent_at() = rpc::ToTimestamp(parts_.clock->Now());
  request.set_version(kVersion);
  request.set_data_address(self_.data_address);
  request.set_host_boot_id(self_.host_boot_id);
  request.set_config_version(config_version_);
  for (v1::WorkloadFact& fact : parts_.supervisor->Facts())
    *request.add_workloads() = std::move(fact);
  for (v1::OrderUpdate& update : parts_.ledger->Updates())
    *request.add_orders() = std::move(update);
  for (v1::AgentEvent& event : parts_.events->Head()) *request.add_events() = std::move(event);
  for (v1::VaultFact& fact : parts_.vaults->Facts()) *request.add_vaults() = std::move(fact);
  return request;
}

absl::Status Exchange::Store(const v1::HeartbeatReply& reply) {
  EMBER_RETURN_IF_ERROR(parts_.epochs->RaiseController(reply.em_epoch()));
  if (reply.has_config()) EMBER_RETURN_IF_ERROR(parts_.state->SaveConfig(reply.config()));
  return absl::OkStatus();
}

absl::Status Exchange::Reply(const v1::HeartbeatReply& reply, absl::Duration sent) {
  EMBER_RETURN_IF_ERROR(Store(reply));
  absl::Status first = absl::OkStatus();
  for (const std::string& id : reply.acknowledged_orders())
    first.Update(parts_.ledger->Acknowledge(id));
  parts_.events->Acknowledge(reply.acknowledged_event_seq());
  // Accepting suspends what is to be restored, before a changed assignment could start it.
  for (const v1::Order& order : reply.orders()) first.Update(parts_.orders->Accept(order));
  if (reply.has_config()) Apply(reply.config());
  parts_.lease->Granted(sent, absl::Milliseconds(reply.lease_millis()));
  parts_.orders->Release();
  for (const std::string& id : reply.cancelled_orders()) parts_.orders->Cancel(id);
  return first;
}

void Exchange::Apply(const v1::NodeConfig& config) {
  for (const absl::Status& refused : parts_.supervisor->Apply(config.workloads())) {
    LogError("supervise", "an assignment is not taken", {{"error", refused.ToString()}});
  }
  parts_.vaults->Set(config.vaults());
  parts_.peers->Set(config.peers(), config.revoked());
  config_version_ = config.version();
  LogInfo("link", "configuration in force",
          {{"version", config.version()},
           {"workloads", config.workloads_size()},
           {"vaults", config.vaults_size()},
           {"peers", config.peers_size()}});
}

}  // namespace ember::agent
