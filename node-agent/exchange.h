// What goes up in a beat, and what a reply does here. No gRPC, no threads of its own.
#ifndef EMBER_NODE_AGENT_EXCHANGE_H_
#define EMBER_NODE_AGENT_EXCHANGE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/link/event_spool.h"
#include "node-agent/link/lease_keeper.h"
#include "node-agent/link/lookout.h"
#include "node-agent/link/message_log.h"
#include "node-agent/link/peers.h"
#include "node-agent/link/uplink.h"
#include "node-agent/orders/epochs.h"
#include "node-agent/orders/ledger.h"
#include "node-agent/orders/runner.h"
#include "node-agent/state.h"
#include "node-agent/supervise/supervisor.h"
#include "node-agent/vault_host/export_keeper.h"
#include "node-agent/vault_host/vault_host.h"

namespace ember::agent {

// Called by one thread, the link's.
class Exchange {
 public:
  struct Parts {
    Clock* clock = nullptr;
    const StateDirectory* state = nullptr;
    Epochs* epochs = nullptr;
    Ledger* ledger = nullptr;
    OrderRunner* orders = nullptr;
    Supervisor* supervisor = nullptr;
    VaultHost* vaults = nullptr;
    ExportKeeper* exports = nullptr;
    EventSpool* events = nullptr;
    MessageLog* messages = nullptr;
    LeaseKeeper* lease = nullptr;
    Peers* peers = nullptr;
    Uplink* uplink = nullptr;
    Lookout* lookout = nullptr;
  };
  struct Self {
    std::string node;
    std::string data_address;
    std::string boot_id;       // of this process
    std::string host_boot_id;  // of the host
  };
  Exchange(Parts parts, Self self);

  // Puts the configuration stored by an earlier agent in force, then lets its open orders run.
  absl::Status ApplyStored();

  v1::HeartbeatRequest Facts();
  // Everything durable first, then in force, then the lease: so whoever holds a lease has acted on
  // what came with it. A reply of a controller that was replaced (a lower epoch) changes nothing:
  // an error. On a full disk a configuration is in force all the same, and asked for again until it
  // is stored; an order that cannot be stored is reported as failed. Returns the first error.
  absl::Status Reply(const v1::HeartbeatReply& reply, absl::Duration sent);
  // A beat brought no reply. Scheduled backups are begun here when the controller has been away for
  // long.
  void Unanswered();

 private:
  void Apply(const v1::NodeConfig& config);
  absl::Status Accept(const v1::Order& order);

  const Parts parts_;
  const Self self_;
  uint64_t seq_ = 0;
  uint64_t config_version_ = 0;                     // of what is stored
  v1::NodeConfig config_;                           // in force
  absl::Duration answered_;                         // the last beat, or the start of this process
  std::map<std::string, v1::OrderUpdate> refused_;  // by order id, until acknowledged
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_EXCHANGE_H_
