// The other agents, asked for their vote and answered.
#ifndef EMBER_NODE_AGENT_LINK_PEERS_H_
#define EMBER_NODE_AGENT_LINK_PEERS_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/identity.h"
#include "ember/v1/agent.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "node-agent/link/self_fence.h"

namespace ember::agent {

// Safe for concurrent use.
class Peers {
 public:
  // `self` is left out wherever it is listed.
  Peers(std::string self, std::function<rpc::Identity()> identity);

  // Whom `config` names, welcome or not.
  void Set(const v1::NodeConfig& config);
  // PERMISSION_DENIED for an agent that was removed from the estate, or enrolled again since it got
  // this certificate.
  absl::Status Admit(const rpc::Peer& peer);
  // Asks all in parallel; who does not answer within `timeout` has not voted.
  Vote Ask(absl::Duration timeout);
  // Which of `nodes` answer within `timeout`; of those that are peers.
  std::map<std::string, absl::Status> Reach(const std::set<std::string>& nodes,
                                            absl::Duration timeout);
  // The identity changed: dial anew.
  void Redial();

 private:
  using Key = std::pair<std::string, std::string>;  // node, address
  // By node.
  std::vector<std::pair<std::string, std::shared_ptr<grpc::Channel>>> Channels();

  const std::string self_;
  const std::function<rpc::Identity()> identity_;
  absl::Mutex mu_;
  std::set<std::string> revoked_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> superseded_serials_ ABSL_GUARDED_BY(mu_);
  std::map<Key, std::shared_ptr<grpc::Channel>> peers_
      ABSL_GUARDED_BY(mu_);  // null: not dialled yet
};

// Answers HasLease.
std::unique_ptr<grpc::Service> NewPeerService(std::function<bool()> has_lease);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_PEERS_H_
