#include "node-agent/exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/host_memory.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "node-agent/orders/offline.h"

namespace ember::agent {

Exchange::Exchange(Parts parts, Self self)
    : parts_(parts), self_(std::move(self)), answered_(parts_.clock->Monotonic()) {}

absl::Status Exchange::ApplyStored() {
  EMBER_ASSIGN_OR_RETURN(const v1::NodeConfig config, parts_.state->LoadConfig());
  Apply(config);
  config_version_ = config.version();
  // Orders wait for the first reply: what they start may need its word, and some are cancelled.
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
  request.set_controller_epoch(parts_.epochs->controller());
  for (v1::WorkloadFact& fact : parts_.supervisor->Facts())
    *request.add_workloads() = std::move(fact);
  for (v1::OrderUpdate& update : parts_.ledger->Updates())
    *request.add_orders() = std::move(update);
  for (const auto& [id, update] : refused_) *request.add_orders() = update;
  for (v1::AgentEvent& event : parts_.events->Head()) *request.add_events() = std::move(event);
  request.set_message_spool(parts_.messages->id());
  for (v1::SpooledMessage& message : parts_.messages->Head())
    *request.add_messages() = std::move(message);
  for (v1::VaultFact& fact : parts_.vaults->Facts()) *request.add_vaults() = std::move(fact);
  for (v1::PeerSight& sight : parts_.lookout->Sights()) *request.add_sights() = std::move(sight);
  request.set_memory_available_bytes(AvailableMemory());
  return request;
}

// An order that there is no room for fails, rather than wait for room that may never come.
absl::Status Exchange::Accept(const v1::Order& order) {
  if (refused_.contains(order.id())) return absl::OkStatus();
  const absl::Status accepted = parts_.orders->Accept(order);
  if (!absl::IsResourceExhausted(accepted)) return accepted;
  v1::OrderUpdate& update = refused_[order.id()];
  update.set_order_id(order.id());
  update.set_state(v1::OrderUpdate::FAILED);
  update.set_code(static_cast<int32_t>(accepted.code()));
  update.set_error(
      absl::StrCat("node ", self_.node, " cannot store the order: ", accepted.message()));
  return accepted;
}

absl::Status Exchange::Reply(const v1::HeartbeatReply& reply, absl::Duration sent) {
  absl::Status first = parts_.epochs->RaiseController(reply.em_epoch());
  if (absl::IsAborted(first)) return first;
  answered_ = parts_.clock->Monotonic();
  for (const std::string& id : reply.acknowledged_orders()) {
    refused_.erase(id);
    first.Update(parts_.ledger->Acknowledge(id));
  }
  parts_.events->Acknowledge(reply.acknowledged_event_seq());
  parts_.messages->Acknowledge(reply.acknowledged_message_seq());
  parts_.exports->Want(reply.export_number());
  parts_.lookout->Want({reply.look_at().begin(), reply.look_at().end()});
  // Accepting suspends what is to be restored, before a changed assignment could start it.
  for (const v1::Order& order : reply.orders()) first.Update(Accept(order));
  if (reply.has_config()) {
    const absl::Status stored = parts_.state->SaveConfig(reply.config());
    first.Update(stored);
    Apply(reply.config());
    // Not stored, it is asked for again; a full disk is no reason to stop what may run. The one
    // stored before is not in force any more.
    config_version_ = stored.ok() ? reply.config().version() : 0;
  }
  parts_.lease->Granted(sent, absl::Milliseconds(reply.lease_millis()));
  parts_.orders->Release();
  for (const std::string& id : reply.cancelled_orders()) parts_.orders->Cancel(id);
  return first;
}

void Exchange::Unanswered() {
  parts_.lease->Unanswered();
  if (parts_.clock->Monotonic() - answered_ < OfflineAfter(config_.settings())) return;
  for (const v1::Order& order : DueOffline(config_, parts_.clock->Now())) {
    if (const absl::Status begun = parts_.orders->Begin(order); !begun.ok()) {
      LogError("link", "a scheduled backup cannot be begun",
               {{"order", order.id()}, {"error", begun.ToString()}});
    }
  }
}

void Exchange::Apply(const v1::NodeConfig& config) {
  config_ = config;
  for (const absl::Status& refused : parts_.supervisor->Apply(config.workloads())) {
    LogError("supervise", "an assignment is not taken", {{"error", refused.ToString()}});
  }
  parts_.vaults->Set(config.vaults());
  parts_.peers->Set(config);
  parts_.uplink->Set(config.settings());
  LogInfo("link", "configuration in force",
          {{"version", config.version()},
           {"workloads", config.workloads_size()},
           {"vaults", config.vaults_size()},
           {"peers", config.peers_size()}});
}

}  // namespace ember::agent
