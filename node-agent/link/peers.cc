#include "node-agent/link/peers.h"

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/rpc/channel.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_unary_call.h"
#include "node-agent/link/em_channel.h"

namespace ember::agent {
namespace {

// One question under way. Lives until its completion came off the queue.
struct Question {
  std::unique_ptr<v1::PeerService::Stub> stub;
  grpc::ClientContext context;
  v1::HasLeaseReply reply;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::HasLeaseReply>> reader;
};

class PeerServiceImpl final : public v1::PeerService::Service {
 public:
  explicit PeerServiceImpl(std::function<bool()> has_lease) : has_lease_(std::move(has_lease)) {}

  grpc::Status HasLease(grpc::ServerContext*, const v1::HasLeaseRequest*,
                        v1::HasLeaseReply* reply) override {
    reply->set_has_lease(has_lease_());
    reply->set_sees_caller_estate(true);  // the gate let in only this estate's certificates
    return grpc::Status::OK;
  }

 private:
  const std::function<bool()> has_lease_;
};

}  // namespace

Peers::Peers(std::string self, std::function<rpc::Identity()> identity)
    : self_(std::move(self)), identity_(std::move(identity)) {}

void Peers::Set(const v1::NodeConfig& config) {
  absl::MutexLock lock(&mu_);
  revoked_ = {config.revoked().begin(), config.revoked().end()};
  superseded_serials_ = {config.superseded_serials().begin(), config.superseded_serials().end()};
  std::map<Key, std::shared_ptr<grpc::Channel>> next;
  for (const v1::Peer& peer : config.peers()) {
    if (peer.node() == self_) continue;
    const Key key(peer.node(), peer.address());
    const auto known = peers_.find(key);
    next[key] = known == peers_.end() ? nullptr : known->second;
  }
  peers_ = std::move(next);
}

absl::Status Peers::Admit(const rpc::Peer& peer) {
  absl::MutexLock lock(&mu_);
  if (peer.role != v1::Role::AGENT) return absl::OkStatus();
  const std::string who = absl::StrCat("agent ", peer.name);
  if (revoked_.contains(peer.name)) return PeerRefused(who, "the node was removed");
  if (superseded_serials_.contains(peer.serial))
    return PeerRefused(who, "its certificate was superseded by a newer enrolment");
  return absl::OkStatus();
}

void Peers::Redial() {
  absl::MutexLock lock(&mu_);
  for (auto& [key, channel] : peers_) channel = nullptr;
}

std::vector<std::shared_ptr<grpc::Channel>> Peers::Channels() {
  const rpc::Identity identity = identity_();
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (auto& [key, channel] : peers_) {
    if (channel == nullptr && !key.second.empty())
      channel = rpc::Dial(key.second, identity, "agent", key.first);
    channels.push_back(channel);
  }
  return channels;
}

Vote Peers::Ask(absl::Duration timeout) {
  const std::vector<std::shared_ptr<grpc::Channel>> channels = Channels();
  Vote vote;
  vote.peers = static_cast<int>(channels.size());
  grpc::CompletionQueue queue;
  int asked = 0;
  for (const std::shared_ptr<grpc::Channel>& channel : channels) {
    if (channel == nullptr) continue;  // its address is not known: it has no say, but it counts
    auto* question = new Question;
    question->stub = v1::PeerService::NewStub(channel);
    SetTimeout(&question->context, timeout);
    question->context.set_wait_for_ready(true);
    question->reader =
        question->stub->AsyncHasLease(&question->context, v1::HasLeaseRequest(), &queue);
    question->reader->Finish(&question->reply, &question->status, question);
    ++asked;
  }
  void* tag = nullptr;
  bool ok = false;
  for (; asked > 0 && queue.Next(&tag, &ok); --asked) {
    const std::unique_ptr<Question> question(static_cast<Question*>(tag));
    if (question->status.ok() && !question->reply.has_lease()) ++vote.without_lease;
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return vote;
}

std::unique_ptr<grpc::Service> NewPeerService(std::function<bool()> has_lease) {
  return std::make_unique<PeerServiceImpl>(std::move(has_lease));
}

}  // namespace ember::agent
