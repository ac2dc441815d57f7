// Nodes, workloads and vaults, as the CLI sees them.
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/fleet/maintenance.h"
#include "controller/fleet/nodes.h"
#include "controller/fleet/observing.h"
#include "controller/protect/runs.h"
#include "controller/recover/moves.h"
#include "controller/recover/recoveries.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "controller/service/views.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr size_t kSecretBytes = 24;

class FleetServiceImpl : public v1::FleetService::Service {
 public:
  explicit FleetServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status CreateToken(grpc::ServerContext*, const v1::CreateTokenRequest* request,
                           v1::CreateTokenReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(MakeToken(*request, reply));
  }

  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    for (const auto& [name, node] : em_.catalog->nodes()) *reply->add_items() = NodeWire(em_, node);
    return grpc::Status::OK;
  }

  grpc::Status GetNode(grpc::ServerContext*, const v1::GetNodeRequest* request,
                       v1::Node* reply) override {
    return ChangeNode(request->name(), reply, [](rec::NodeRecord*, Batch*) { return false; });
  }

  grpc::Status SetMaintenance(grpc::ServerContext* context,
                              const v1::SetMaintenanceRequest* request, v1::Node* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    return ChangeNode(request->name(), reply,
                      [&](rec::NodeRecord* node, Batch* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                        WriteMaintenance(*request, em_.clock->Now(), node);
                        batch->AddEvent("node.maintenance", node->name(),
                                        absl::StrCat(request->on() ? "on" : "off", " by ", who));
                        TellOfDead(*node, batch);
                        return true;
                      });
  }

  grpc::Status SetEstateMaintenance(grpc::ServerContext* context,
                                    const v1::SetMaintenanceRequest* request,
                                    v1::Em* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    absl::MutexLock lock(&em_.mu);
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    rec::FreezeRecord freeze = em_.catalog->freeze();
    WriteMaintenance(*request, em_.clock->Now(), &freeze);
    Batch batch;
    batch.Put(freeze);
    batch.AddEvent("estate.maintenance", "estate",
                   absl::StrCat(request->on() ? "on" : "off", " by ", who));
    for (const auto& [name, node] : em_.catalog->nodes()) {
      if (!request->on()) TellOfDead(node, &batch);
    }
    if (absl::Status status = em_.Commit(batch); !status.ok()) return rpc::ToGrpc(status);
    em_.news = true;
    *reply = EmWire(em_);
    return grpc::Status::OK;
  }

  grpc::Status DrainNode(grpc::ServerContext* context, const v1::DrainNodeRequest* request,
                         v1::DrainNodeReply* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    return ChangeNode(request->name(), reply->mutable_node(),
                      [&](rec::NodeRecord* node, Batch* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                        if (request->on()) {
                          for (v1::DrainStep& step : DrainPlan(em_, node->name()))
                            *reply->add_items() = std::move(step);
                        }
                        if (request->on() == node->has_drained()) return false;
                        SetDrained(em_, request->on(), node, batch);
                        batch->AddEvent("node.drained", node->name(),
                                        absl::StrCat(request->on() ? "on" : "off", " by ", who));
                        return true;
                      });
  }

  grpc::Status RemoveNode(grpc::ServerContext* context, const v1::RemoveNodeRequest* request,
                          v1::Node* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    return ChangeNode(request->name(), reply, [&](rec::NodeRecord* node, Batch* batch) {
      node->set_revoked(true);
      SupersedeCertificates(*node);
      batch->AddEvent("node.removed", node->name(), absl::StrCat("revoked by ", who));
      return true;
    });
  }

  grpc::Status ListWorkloads(grpc::ServerContext*, const v1::ListWorkloadsRequest*,
                             v1::ListWorkloadsReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    for (const v1::WorkloadSpec& spec : em_.catalog->estate().estate().workloads())
      *reply->add_items() = WorkloadWire(em_, spec);
    return grpc::Status::OK;
  }

  grpc::Status GetWorkload(grpc::ServerContext*, const v1::GetWorkloadRequest* request,
                           v1::Workload* reply) override {
    return ChangeWorkload(request->name(), reply,
                          [](rec::WorkloadRecord*, Batch*) { return false; });
  }

  grpc::Status HoldWorkload(grpc::ServerContext* context, const v1::HoldWorkloadRequest* request,
                            v1::Workload* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    absl::Status refused;
    const grpc::Status status = ChangeWorkload(
        request->name(), reply,
        [&](rec::WorkloadRecord* workload, Batch* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          if (request->hold()) refused = RefuseWhileRecovered(em_, workload->name());
          if (!refused.ok()) return false;
          workload->set_held(request->hold());
          if (!request->hold()) ClearEscalation(workload);
          batch->AddEvent(request->hold() ? "workload.held" : "workload.released", workload->name(),
                          absl::StrCat("by ", who), workload->name());
          return true;
        });
    return refused.ok() ? status : rpc::ToGrpc(refused);
  }

  // A person's word: what was given up may be tried again, and the service is started anew.
  grpc::Status RestartWorkload(grpc::ServerContext* context,
                               const v1::RestartWorkloadRequest* request,
                               v1::Workload* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    absl::Status refused;
    grpc::Status status = ChangeWorkload(
        request->name(), reply,
        [&](rec::WorkloadRecord* workload, Batch* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          refused = RefuseWhileRecovered(em_, workload->name());
          if (!refused.ok()) return false;
          workload->set_held(false);
          ClearEscalation(workload);
          const v1::WorkloadSpec* spec = em_.catalog->FindWorkload(workload->name());
          batch->Put(StartOrder(em_, *spec, *workload, "restart"));
          batch->AddEvent("workload.restart", workload->name(), absl::StrCat("asked by ", who),
                          workload->name());
          return true;
        });
    return refused.ok() ? status : rpc::ToGrpc(refused);
  }

  grpc::Status MoveWorkload(grpc::ServerContext* context, const v1::MoveWorkloadRequest* request,
                            v1::Recovery* reply) override {
    const std::string cause = absl::StrCat("asked by ", rpc::CallerOf(*context).name);
    absl::MutexLock lock(&em_.mu);
    Batch batch;
    absl::Status status = RefuseWhileObserving(em_);
    if (!status.ok()) return rpc::ToGrpc(status);
    const auto move = BeginMove(em_, request->name(), request->node(), cause, &batch);
    if (!move.ok()) return rpc::ToGrpc(move.status());
    if (status = em_.Commit(batch); !status.ok()) return rpc::ToGrpc(status);
    em_.news = true;
    *reply = move->recovery();
    return grpc::Status::OK;
  }

  grpc::Status Beat(grpc::ServerContext* context, const v1::BeatRequest* request,
                    v1::BeatReply*) override {
    absl::MutexLock lock(&em_.mu);
    const auto it = em_.catalog->workloads().find(request->workload());
    if (it == em_.catalog->workloads().end())
      return rpc::ToGrpc(WorkloadNotFound(request->workload()));
    const rpc::Peer peer = rpc::CallerOf(*context);
    if (peer.role == v1::Role::AGENT && peer.name != it->second.node()) {
      const absl::Status refused = PeerRefused(
          peer.name, absl::StrCat(request->workload(), " is placed on ", it->second.node()));
      NoteRefusal(em_, peer.name, refused.message());
      return rpc::ToGrpc(refused);
    }
    em_.board.application_beats[request->workload()] = em_.clock->Monotonic();
    return grpc::Status::OK;
  }

  grpc::Status ListVaults(grpc::ServerContext*, const v1::ListVaultsRequest*,
                          v1::ListVaultsReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    for (const v1::VaultSpec& vault : em_.catalog->estate().estate().vaults())
      *reply->add_items() = VaultWire(em_, vault);
    return grpc::Status::OK;
  }

 private:
  static void ClearEscalation(rec::WorkloadRecord* workload) {
    workload->set_flap_penalty(0);
    const bool given_up = workload->state() == v1::WorkloadState::ESCALATED ||
                          workload->state() == v1::WorkloadState::QUARANTINED;
    if (given_up) workload->set_state(v1::WorkloadState::STARTING);
    workload->clear_message();
  }

  absl::Status MakeToken(const v1::CreateTokenRequest& request, v1::CreateTokenReply* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(ValidateName("node", request.node()));
    EMBER_ASSIGN_OR_RETURN(const std::string fingerprint,
                           CertificateFingerprint(em_.keys->ca_pem()));
    v1::JoinToken token;
    token.set_em_address(!request.em_address().empty() ? request.em_address()
                         : !em_.advertise.empty()      ? em_.advertise
                                                       : request.dialled());
    token.set_ca_fingerprint(fingerprint);
    token.set_node(request.node());
    token.set_secret(absl::BytesToHexString(RandomBytes(kSecretBytes)));
    const absl::Time expires = em_.clock->Now() + absl::Hours(kTokenHours);
    rec::TokenRecord record;
    record.set_secret_sha256(Sha256Hex(token.secret()));
    record.set_node(request.node());
    *record.mutable_expires() = rpc::ToTimestamp(expires);
    Batch batch;
    for (const auto& [hash, old] : em_.catalog->tokens()) {
      if (old.used() || rpc::FromTimestamp(old.expires()) < em_.clock->Now() - absl::Hours(24))
        batch.Erase(old);
    }
    batch.Put(record);
    batch.AddEvent("node.token", request.node(), "join token made");
    EMBER_RETURN_IF_ERROR(em_.Commit(batch));
    reply->set_em_address(token.em_address());
    reply->set_token(absl::StrCat("ember1.", absl::WebSafeBase64Escape(token.SerializeAsString())));
    *reply->mutable_expires() = rpc::ToTimestamp(expires);
    return absl::OkStatus();
  }

  // `change` edits a copy and returns whether to write it.
  template <typename Change>
  grpc::Status ChangeNode(const std::string& name, v1::Node* reply, Change change) {
    absl::MutexLock lock(&em_.mu);
    const auto it = em_.catalog->nodes().find(name);
    if (it == em_.catalog->nodes().end()) return rpc::ToGrpc(NodeNotFound(name));
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    rec::NodeRecord node = it->second;
    Batch batch;
    if (change(&node, &batch)) {
      batch.Put(node);
      if (absl::Status status = em_.Commit(batch); !status.ok()) return rpc::ToGrpc(status);
      em_.news = true;
    }
    *reply = NodeWire(em_, node);
    return grpc::Status::OK;
  }

  template <typename Change>
  grpc::Status ChangeWorkload(const std::string& name, v1::Workload* reply, Change change) {
    absl::MutexLock lock(&em_.mu);
    const v1::WorkloadSpec* spec = em_.catalog->FindWorkload(name);
    const auto it = em_.catalog->workloads().find(name);
    if (spec == nullptr || it == em_.catalog->workloads().end())
      return rpc::ToGrpc(WorkloadNotFound(name));
    if (absl::Status may = RefuseWhileObserving(em_); !may.ok()) return rpc::ToGrpc(may);
    rec::WorkloadRecord workload = it->second;
    Batch batch;
    if (change(&workload, &batch)) {
      batch.Put(workload);
      if (absl::Status status = em_.Commit(batch); !status.ok()) return rpc::ToGrpc(status);
      em_.news = true;
    }
    *reply = WorkloadWire(em_, *spec);
    return grpc::Status::OK;
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewFleetService(EmState* em) {
  return std::make_unique<FleetServiceImpl>(em);
}

}  // namespace ember::controller
