#include "node-agent/link/peers.h"

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_unary_call.h"
#include "node-agent/link/em_channel.h"

namespace ember::agent {
namespace {

// One question under way. Lives until its completion came off the queue.
struct Question {
  size_t number = 0;
  std::unique_ptr<v1::PeerService::Stub> stub;
  grpc::ClientContext context;
  v1::HasLeaseReply reply;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::HasLeaseReply>> reader;
};

using Answer = absl::StatusOr<v1::HasLeaseReply>;

// Asks all in parallel. Null: its address is not known.
std::vector<Answer> AskAll(const std::vector<std::shared_ptr<grpc::Channel>>& channels,
                           absl::Duration timeout) {
  std::vector<Answer> answers(channels.size(), absl::UnavailableError("its address is not known"));
  grpc::CompletionQueue queue;
  int asked = 0;
  for (size_t i = 0; i < channels.size(); ++i) {
    if (channels[i] == nullptr) continue;
    auto* question = new Question;
    question->number = i;
    question->stub = v1::PeerService::NewStub(channels[i]);
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
    const absl::Status status = rpc::FromGrpc(question->status);
    answers[question->number] = status.ok() ? Answer(question->reply) : Answer(status);
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return answers;
}

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

std::vector<std::pair<std::string, std::shared_ptr<grpc::Channel>>> Peers::Channels() {
  const rpc::Identity identity = identity_();
  absl::MutexLock lock(&mu_);
  std::vector<std::pair<std::string, std::shared_ptr<grpc::Channel>>> channels;
  for (auto& [key, channel] : peers_) {
    if (channel == nullptr && !key.second.empty())
      channel = rpc::Dial(key.second, identity, "agent", key.first);
    channels.emplace_back(key.first, channel);
  }
  return channels;
}

// Whose address is not known has no say, but it counts.
Vote Peers::Ask(absl::Duration timeout) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (auto& [node, channel] : Channels()) channels.push_back(std::move(channel));
  Vote vote;
  vote.peers = static_cast<int>(channels.size());
  for (const Answer& answer : AskAll(channels, timeout)) {
    if (answer.ok() && !answer->has_lease()) ++vote.without_lease;
  }
  return vote;
}

std::map<std::string, absl::Status> Peers::Reach(const std::set<std::string>& nodes,
                                                 absl::Duration timeout) {
  std::vector<std::string> names;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (auto& [node, channel] : Channels()) {
    if (!nodes.contains(node)) continue;
    names.push_back(node);
    channels.push_back(std::move(channel));
  }
  const std::vector<Answer> answers = AskAll(channels, timeout);
  std::map<std::string, absl::Status> reached;
  for (size_t i = 0; i < names.size(); ++i) reached[names[i]] = answers[i].status();
  return reached;
}

std::unique_ptr<grpc::Service> NewPeerService(std::function<bool()> has_lease) {
  return std::make_unique<PeerServiceImpl>(std::move(has_lease));
}

}  // namespace ember::agent
