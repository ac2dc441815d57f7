// Messages between workloads, as people and applications send and receive them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/fleet/observing.h"
#include "controller/messages/mailbox.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {
namespace {

class MessageServiceImpl : public v1::MessageService::Service {
 public:
  explicit MessageServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status Send(grpc::ServerContext* context, const v1::SendMessageRequest* request,
                    v1::SendMessageReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string& from = request->message().from();
    if (absl::Status may = CheckPlaced(*context, from); !from.empty() && !may.ok())
      return rpc::ToGrpc(may);
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    absl::StatusOr<v1::Message> kept = KeepMessage(em_, request->message());
    if (!kept.ok()) return rpc::ToGrpc(kept.status());
    *reply->mutable_message() = *std::move(kept);
    reply->mutable_message()->clear_body();
    return grpc::Status::OK;
  }

  grpc::Status Receive(grpc::ServerContext* context, const v1::ReceiveMessageRequest* request,
                       v1::Message* reply) override {
    absl::MutexLock lock(&em_.mu);
    const std::string& workload = request->workload();
    if (absl::Status may = CheckPlaced(*context, workload); !may.ok()) return rpc::ToGrpc(may);
    if (em_.catalog->FindWorkload(workload) == nullptr)
      return rpc::ToGrpc(WorkloadNotFound(workload));
    const absl::Duration until =
        em_.clock->Monotonic() +
        std::min(absl::Milliseconds(request->wait_millis()), absl::Seconds(kMessageWaitSecondsMax));
    while (OldestFor(*em_.catalog, workload) == nullptr) {
      const absl::Duration left = until - em_.clock->Monotonic();
      if (left <= absl::ZeroDuration() || context->IsCancelled()) return grpc::Status::OK;
      const auto arrived = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return OldestFor(*em_.catalog, workload) != nullptr;
      };
      em_.mu.AwaitWithTimeout(absl::Condition(&arrived), std::min(left, absl::Seconds(1)));
    }
    *reply = *OldestFor(*em_.catalog, workload);
    return grpc::Status::OK;
  }

  grpc::Status Confirm(grpc::ServerContext* context, const v1::ConfirmMessageRequest* request,
                       v1::ConfirmMessageReply*) override {
    absl::MutexLock lock(&em_.mu);
    if (absl::Status may = CheckPlaced(*context, request->workload()); !may.ok())
      return rpc::ToGrpc(may);
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    return rpc::ToGrpc(ConfirmMessage(em_, request->workload(), request->seq()));
  }

  grpc::Status ListMessages(grpc::ServerContext*, const v1::ListMessagesRequest* request,
                            v1::ListMessagesReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    size_t bytes = 0;
    for (const auto& [key, record] : em_.catalog->messages()) {
      const v1::Message& message = record.message();
      if (record.confirmed()) continue;
      if (!request->workload().empty() && message.to() != request->workload()) continue;
      bytes += message.ByteSizeLong();
      if (bytes > kMessageBytesPerBeat ||
          reply->items_size() == static_cast<int>(kMessagesListedMax))
        break;
      *reply->add_items() = message;
    }
    return grpc::Status::OK;
  }

 private:
  // A node's certificate speaks for the workloads that are placed on it, and for no other.
  absl::Status CheckPlaced(const grpc::ServerContext& context, const std::string& workload)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const rpc::Peer peer = rpc::CallerOf(context);
    const auto it = em_.catalog->workloads().find(workload);
    if (peer.role != v1::Role::AGENT || it == em_.catalog->workloads().end() ||
        it->second.node() == peer.name)
      return absl::OkStatus();
    const absl::Status refused =
        PeerRefused(peer.name, absl::StrCat(workload, " is placed on ", it->second.node()));
    NoteRefusal(em_, peer.name, refused.message());
    return refused;
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewMessageService(EmState* em) {
  return std::make_unique<MessageServiceImpl>(em);
}

}  // namespace ember::controller
