// What agents call. Heartbeats use gRPC's callback API because each is held for seconds: thousands
// of them must not occupy thousands of threads. The rest is synchronous.
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/fleet/beats.h"
#include "controller/protect/catalog_exports.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "ember/v1/agent.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// A second process with the same name may be a restart or a clone. A live incumbent beats again
// within this time.
constexpr absl::Duration kSuccessorWait = absl::Seconds(kBeatSeconds + 2);
constexpr size_t kValidSerialsKept = 3;

// The host part of gRPC's peer text ("ipv4:10.0.0.5:3333", "ipv6:%5B::1%5D:3333").
std::string HostOf(absl::string_view peer) {
  const size_t first = peer.find(':');
  const size_t last = peer.rfind(':');
  if (first == absl::string_view::npos || last <= first) return "127.0.0.1";
  std::string host(peer.substr(first + 1, last - first - 1));
  if (absl::StartsWith(host, "%5B")) host = absl::StrCat("[", host.substr(3, host.size() - 6), "]");
  return host;
}

class AgentServiceImpl;

class HeldBeat : public grpc::ServerUnaryReactor {
 public:
  HeldBeat(AgentServiceImpl* owner, std::string node, const v1::HeartbeatRequest* request,
           v1::HeartbeatReply* reply)
      : owner_(owner), node_(std::move(node)), request_(request), reply_(reply) {}
  void OnDone() override { delete this; }
  void OnCancel() override;

  const std::string& node() const { return node_; }
  const v1::HeartbeatRequest& request() const { return *request_; }
  v1::HeartbeatReply* reply() { return reply_; }
  absl::Duration release_at;
  std::string seen_host;

 private:
  AgentServiceImpl* const owner_;
  const std::string node_;
  const v1::HeartbeatRequest* const request_;
  v1::HeartbeatReply* const reply_;
};

class AgentServiceImpl
    : public v1::AgentService::WithCallbackMethod_Heartbeat<v1::AgentService::Service>,
      public HeldBeats {
 public:
  explicit AgentServiceImpl(EmState* em) : em_(*em) {}

  grpc::Service* service() override { return this; }

  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatReply* reply) override {
    const rpc::Peer peer = rpc::CallerOf(*context);
    auto* beat = new HeldBeat(this, peer.name, request, reply);
    beat->seen_host = HostOf(context->peer());
    absl::MutexLock lock(&em_.mu);
    Receive(beat);
    return beat;
  }

  grpc::Status RenewCertificate(grpc::ServerContext* context,
                                const v1::RenewCertificateRequest* request,
                                v1::RenewCertificateReply* reply) override {
    return rpc::ToGrpc(Renew(rpc::CallerOf(*context).name, *request, reply));
  }

  grpc::Status ReleaseKeys(grpc::ServerContext* context, const v1::ReleaseKeysRequest* request,
                           v1::ReleaseKeysReply* reply) override {
    const std::string name = rpc::CallerOf(*context).name;
    const absl::Status released = ReleaseFor(name, *request, reply);
    if (absl::IsPermissionDenied(released)) NoteRefused(name, released);
    return rpc::ToGrpc(released);
  }

  grpc::Status FetchCatalogExport(grpc::ServerContext* context,
                                  const v1::FetchCatalogExportRequest*,
                                  grpc::ServerWriter<v1::CatalogExportPiece>* writer) override {
    const std::string name = rpc::CallerOf(*context).name;
    absl::StatusOr<std::string> bytes = [&] {
      absl::MutexLock lock(&em_.mu);
      return MakeExportFor(em_, name);
    }();
    if (absl::IsPermissionDenied(bytes.status())) NoteRefused(name, bytes.status());
    if (!bytes.ok()) return rpc::ToGrpc(bytes.status());
    v1::CatalogExportPiece piece;
    for (size_t at = 0; at < bytes->size(); at += kExportPieceBytes) {
      piece.set_bytes(bytes->substr(at, kExportPieceBytes));
      if (!writer->Write(piece)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  }

  void Release() override ABSL_LOCKS_EXCLUDED(em_.mu) {
    absl::MutexLock lock(&em_.mu);
    const absl::Duration now = em_.clock->Monotonic();
    const bool look = em_.catalog->generation() != looked_at_;
    looked_at_ = em_.catalog->generation();
    std::vector<HeldBeat*> due;
    for (const auto& [node, beat] : held_) {
      if (now >= beat->release_at || (look && HasNewsFor(em_, node))) due.push_back(beat);
    }
    for (HeldBeat* beat : due) Answer(beat);
    std::vector<HeldBeat*> successors;
    for (const auto& [node, beat] : successors_) {
      if (now >= beat->release_at) successors.push_back(beat);
    }
    for (HeldBeat* beat : successors) {
      successors_.erase(beat->node());
      Accept(beat);
    }
  }

  void ReleaseAll() override ABSL_LOCKS_EXCLUDED(em_.mu) {
    absl::MutexLock lock(&em_.mu);
    stopping_ = true;
    for (auto& beats : {std::exchange(held_, {}), std::exchange(successors_, {})}) {
      for (const auto& [node, beat] : beats)
        beat->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the EM is stopping"));
    }
  }

  void Cancelled(HeldBeat* beat) ABSL_LOCKS_EXCLUDED(em_.mu) {
    absl::MutexLock lock(&em_.mu);
    for (auto* beats : {&held_, &successors_}) {
      const auto it = beats->find(beat->node());
      if (it == beats->end() || it->second != beat) continue;
      beats->erase(it);
      beat->Finish(grpc::Status::CANCELLED);
      if (beats == &held_) PromoteSuccessor(beat->node());
      return;
    }
  }

 private:
  void Receive(HeldBeat* beat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (stopping_)
      return beat->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the EM is stopping"));
    const auto heard = em_.board.nodes.find(beat->node());
    const std::string incumbent = heard == em_.board.nodes.end() ? "" : heard->second.boot_id;
    const bool incumbent_here = held_.count(beat->node()) > 0;
    if (beat->request().boot_id() != incumbent && incumbent_here) return AwaitSuccession(beat);
    if (const auto rival = successors_.find(beat->node()); rival != successors_.end())
      RejectRival(rival->second);
    Accept(beat);
  }

  void AwaitSuccession(HeldBeat* beat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (const auto earlier = successors_.find(beat->node()); earlier != successors_.end()) {
      HeldBeat* old = earlier->second;
      successors_.erase(earlier);
      old->Finish(grpc::Status::CANCELLED);
    }
    beat->release_at = em_.clock->Monotonic() + kSuccessorWait;
    successors_[beat->node()] = beat;
    // Released now, a live incumbent beats again and so shows itself.
    Answer(held_.at(beat->node()));
  }

  void RejectRival(HeldBeat* rival) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    successors_.erase(rival->node());
    Batch batch;
    batch.AddEvent("node.duplicate", rival->node(),
                   absl::StrCat("a second agent with this name beat from ", rival->seen_host,
                                " and was refused"));
    if (absl::Status status = em_.Commit(batch); !status.ok())
      LogError("beats", "event lost", {{"error", status.message()}});
    rival->reply()->set_rejected_duplicate(true);
    rival->Finish(grpc::Status::OK);
  }

  void PromoteSuccessor(const std::string& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto it = successors_.find(node);
    if (it == successors_.end()) return;
    HeldBeat* beat = it->second;
    successors_.erase(it);
    Accept(beat);
  }

  // Records the facts, lets go of the older beat, and holds this one.
  void Accept(HeldBeat* beat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto heard = em_.board.nodes.find(beat->node());
    // What may run elsewhere waits, on a node that comes back, for the first answer.
    const bool begins =
        heard == em_.board.nodes.end() || heard->second.boot_id != beat->request().boot_id();
    // A beat that comes late has little of its time left, and its lease begins when it was sent.
    const bool was_silent = !begins && em_.clock->Monotonic() - heard->second.last_beat >
                                           absl::Seconds(2 * kBeatSeconds);
    const uint64_t messages_before = MessagesTaken(beat->node());
    const absl::Status recorded = RecordBeat(em_, beat->node(), beat->seen_host, beat->request());
    if (const auto older = held_.find(beat->node()); older != held_.end()) {
      HeldBeat* old = older->second;
      held_.erase(older);
      old->Finish(grpc::Status(grpc::StatusCode::CANCELLED, "a newer beat arrived"));
    }
    if (absl::IsPermissionDenied(recorded)) NoteRefusal(em_, beat->node(), recorded.message());
    if (!recorded.ok()) return beat->Finish(rpc::ToGrpc(recorded));
    held_[beat->node()] = beat;
    beat->release_at = em_.clock->Monotonic() + absl::Seconds(kBeatSeconds);
    // More messages may wait with the agent.
    const bool took = MessagesTaken(beat->node()) != messages_before;
    if (begins || was_silent || took || beat->request().urgent() || HasNewsFor(em_, beat->node()))
      Answer(beat);
  }

  uint64_t MessagesTaken(const std::string& node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto record = em_.catalog->nodes().find(node);
    return record == em_.catalog->nodes().end() ? 0 : record->second.acknowledged_message_seq();
  }

  void Answer(HeldBeat* beat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    held_.erase(beat->node());
    *beat->reply() = ComposeReply(em_, beat->node(), beat->request());
    beat->Finish(grpc::Status::OK);
  }

  absl::Status Renew(const std::string& name, const v1::RenewCertificateRequest& request,
                     v1::RenewCertificateReply* reply) {
    absl::MutexLock lock(&em_.mu);
    const absl::Time now = em_.clock->Now();
    const auto it = em_.catalog->nodes().find(name);
    if (it == em_.catalog->nodes().end()) return NodeNotFound(name);
    EMBER_ASSIGN_OR_RETURN(const std::string certificate,
                           em_.keys->Sign(request.csr_pem(), "agent", name, now));
    EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(certificate));
    rec::NodeRecord node = it->second;
    node.add_valid_serials(info.serial);
    while (node.valid_serials_size() > static_cast<int>(kValidSerialsKept))
      node.mutable_valid_serials()->DeleteSubrange(0, 1);
    *node.mutable_certificate_expires() = rpc::ToTimestamp(info.not_after);
    Batch batch;
    batch.Put(node);
    batch.AddEvent("node.renewed", name,
                   absl::StrCat("certificate renewed until ",
                                absl::FormatTime("%Y-%m-%d", info.not_after, absl::UTCTimeZone())));
    EMBER_RETURN_IF_ERROR(em_.Commit(batch));
    reply->set_certificate_pem(certificate);
    return absl::OkStatus();
  }

  // Only the agent that holds an open restore, verification, listing or comparison of that domain
  // gets keys.
  absl::Status ReleaseFor(const std::string& name, const v1::ReleaseKeysRequest& request,
                          v1::ReleaseKeysReply* reply) {
    absl::MutexLock lock(&em_.mu);
    const auto order = em_.catalog->orders().find(request.order_id());
    const bool open = order != em_.catalog->orders().end() && order->second.node() == name &&
                      !order->second.finished() && !order->second.cancelled();
    if (!open)
      return PeerRefused(absl::StrCat("agent ", name),
                         absl::StrCat("it holds no open order ", request.order_id()));
    const v1::Order& action = order->second.order();
    const std::string wanted = action.has_restore()      ? action.restore().domain_id()
                               : action.has_list_files() ? action.list_files().domain_id()
                               : action.has_diff()       ? action.diff().domain_id()
                               : action.has_read_file()  ? action.read_file().domain_id()
                                                         : action.verify().domain_id();
    if (wanted.empty() || wanted != request.domain_id()) {
      return PeerRefused(
          absl::StrCat("agent ", name),
          absl::StrCat("order ", request.order_id(), " is not about domain ", request.domain_id()));
    }
    const auto domain = em_.catalog->domains().find(wanted);
    if (domain == em_.catalog->domains().end())
      return absl::NotFoundError(absl::StrCat("no domain ", wanted));
    EMBER_ASSIGN_OR_RETURN(*reply, em_.keys->Release(domain->second, request));
    Batch batch;
    batch.AddEvent("keys.released", wanted,
                   absl::StrCat(request.keyboxes_size(), " session keys to ", name, " for ",
                                request.order_id()),
                   action.workload());
    return em_.Commit(batch);
  }

  void NoteRefused(const std::string& name, const absl::Status& why) {
    absl::MutexLock lock(&em_.mu);
    NoteRefusal(em_, name, why.message());
  }

  EmState& em_;
  std::map<std::string, HeldBeat*> held_
      ABSL_GUARDED_BY(em_.mu);  // at most one per node, of its incumbent
  std::map<std::string, HeldBeat*> successors_
      ABSL_GUARDED_BY(em_.mu);  // another process that claims the name
  uint64_t looked_at_ ABSL_GUARDED_BY(em_.mu) = 0;
  bool stopping_ ABSL_GUARDED_BY(em_.mu) = false;
};

void HeldBeat::OnCancel() { owner_->Cancelled(this); }

}  // namespace

std::unique_ptr<HeldBeats> NewAgentService(EmState* em) {
  return std::make_unique<AgentServiceImpl>(em);
}

}  // namespace ember::controller
