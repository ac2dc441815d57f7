// Recoveries, as the CLI sees and steers them.
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/fleet/observing.h"
#include "controller/recover/recoveries.h"
#include "controller/service/services.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class RecoveryServiceImpl : public v1::RecoveryService::Service {
 public:
  explicit RecoveryServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status ListRecoveries(grpc::ServerContext*, const v1::ListRecoveriesRequest* request,
                              v1::ListRecoveriesReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    for (const auto& [id, recovery] : em_.catalog->recoveries()) {
      if (request->workload().empty() || recovery.recovery().workload() == request->workload())
        *reply->add_items() = recovery.recovery();
    }
    return grpc::Status::OK;
  }

  grpc::Status GetRecovery(grpc::ServerContext*, const v1::GetRecoveryRequest* request,
                           v1::Recovery* reply) override {
    return Change(request->id(), reply,
                  [](rec::RecoveryRecord*, Batch*) { return absl::OkStatus(); });
  }

  grpc::Status ApproveRecovery(grpc::ServerContext* context, const v1::GetRecoveryRequest* request,
                               v1::Recovery* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    return Change(request->id(), reply,
                  [&](rec::RecoveryRecord* record, Batch* batch) -> absl::Status {
                    if (record->recovery().state() != v1::RecoveryState::APPROVAL)
                      return NotIn(*record, "does not wait for approval");
                    record->set_approved(true);
                    batch->Put(*record);
                    batch->AddEvent("recovery.approved", record->recovery().id(),
                                    absl::StrCat("by ", who), record->recovery().workload());
                    return absl::OkStatus();
                  });
  }

  // Ends it where it is. The workload stays as it is and is held, so that nothing starts behind the
  // person's back. A planned move that has begun nothing at its target is called off instead.
  grpc::Status CancelRecovery(grpc::ServerContext* context, const v1::GetRecoveryRequest* request,
                              v1::Recovery* reply) override {
    const std::string who = rpc::CallerOf(*context).name;
    return Change(request->id(), reply,
                  [&](rec::RecoveryRecord* record, Batch* batch)
                      ABSL_NO_THREAD_SAFETY_ANALYSIS -> absl::Status {
                        if (!IsOpen(record->recovery().state()))
                          return NotIn(*record, "has ended already");
                        if (!record->move_to().empty()) {
                          record->set_cancelled_by(who);
                          batch->Put(*record);
                          return absl::OkStatus();
                        }
                        const auto order = em_.catalog->orders().find(record->order_id());
                        if (order != em_.catalog->orders().end()) batch->Erase(order->second);
                        record->clear_order_id();
                        v1::Recovery& recovery = *record->mutable_recovery();
                        recovery.set_state(v1::RecoveryState::CANCELLED);
                        recovery.set_message(absl::StrCat("cancelled by ", who));
                        recovery.set_next_command(
                            absl::StrCat("ember workload release ", recovery.workload()));
                        *recovery.mutable_ended() = rpc::ToTimestamp(em_.clock->Now());
                        v1::RecoveryStep* step = recovery.add_steps();
                        *step->mutable_time() = recovery.ended();
                        step->set_state(v1::RecoveryState::CANCELLED);
                        step->set_message(recovery.message());
                        batch->Put(*record);
                        const auto workload = em_.catalog->workloads().find(recovery.workload());
                        if (workload != em_.catalog->workloads().end()) {
                          rec::WorkloadRecord held = workload->second;
                          held.set_hold_recovery(false);
                          held.set_held(true);
                          held.set_last_recovery(recovery.id());
                          batch->Put(held);
                        }
                        batch->AddEvent("recovery.cancelled", recovery.id(), recovery.message(),
                                        recovery.workload());
                        return absl::OkStatus();
                      });
  }

  grpc::Status Arm(grpc::ServerContext* context, const v1::ArmRequest* request,
                   v1::ArmReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    auto armed = controller::Arm(em_, rpc::CallerOf(*context).name, request->confirmed());
    if (!armed.ok()) return rpc::ToGrpc(armed.status());
    *reply = *std::move(armed);
    return grpc::Status::OK;
  }

  grpc::Status PlanRecovery(grpc::ServerContext*, const v1::PlanRecoveryRequest* request,
                            v1::PlanRecoveryReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    auto plan = PreviewRecovery(em_, request->subject());
    if (!plan.ok()) return rpc::ToGrpc(plan.status());
    *reply = *plan;
    return grpc::Status::OK;
  }

 private:
  static absl::Status NotIn(const rec::RecoveryRecord& record, absl::string_view why) {
    return WithHint(absl::FailedPreconditionError(
                        absl::StrCat("recovery ", record.recovery().id(), " ", why, ": it is ",
                                     v1::RecoveryState::Value_Name(record.recovery().state()))),
                    absl::StrCat("ember recovery show ", record.recovery().id()));
  }

  template <typename Edit>
  grpc::Status Change(const std::string& id, v1::Recovery* reply, Edit edit) {
    absl::MutexLock lock(&em_.mu);
    const auto it = em_.catalog->recoveries().find(id);
    if (it == em_.catalog->recoveries().end()) return rpc::ToGrpc(RecoveryNotFound(id));
    rec::RecoveryRecord record = it->second;
    Batch batch;
    absl::Status status = edit(&record, &batch);
    if (status.ok() && !batch.empty()) status = RefuseWhileObserving(em_);
    if (status.ok()) status = em_.Commit(batch);
    if (!status.ok()) return rpc::ToGrpc(status);
    em_.news = em_.news || !batch.empty();
    *reply = record.recovery();
    return grpc::Status::OK;
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewRecoveryService(EmState* em) {
  return std::make_unique<RecoveryServiceImpl>(em);
}

}  // namespace ember::controller
