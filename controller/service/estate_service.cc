// apply, export, status.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "controller/estate/differ.h"
#include "controller/estate/exporter.h"
#include "controller/estate/parser.h"
#include "controller/fleet/nodes.h"
#include "controller/fleet/observing.h"
#include "controller/messages/mailbox.h"
#include "controller/protect/clean.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"
#include "controller/service/services.h"
#include "controller/service/views.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class EstateServiceImpl : public v1::EstateService::Service {
 public:
  explicit EstateServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status Apply(grpc::ServerContext* context, const v1::ApplyRequest* request,
                     v1::ApplyReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(ApplyText(rpc::CallerOf(*context).name, *request, reply));
  }

  grpc::Status Export(grpc::ServerContext*, const v1::ExportRequest*,
                      v1::ExportReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    reply->set_yaml(ExportEstate(em_.catalog->estate().estate()));
    return grpc::Status::OK;
  }

  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    *reply = StatusWire(em_);
    return grpc::Status::OK;
  }

  grpc::Status RenewIdentity(grpc::ServerContext* context,
                             const v1::RenewCertificateRequest* request,
                             v1::RenewCertificateReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    return rpc::ToGrpc(Renew(rpc::CallerOf(*context), *request, reply));
  }

 private:
  // The same name and role again, whatever the CSR says.
  absl::Status Renew(const rpc::Peer& caller, const v1::RenewCertificateRequest& request,
                     v1::RenewCertificateReply* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const std::string role = absl::AsciiStrToLower(v1::Role::Value_Name(caller.role));
    EMBER_ASSIGN_OR_RETURN(const std::string certificate,
                           em_.keys->Sign(request.csr_pem(), role, caller.name, em_.clock->Now()));
    Batch batch;
    batch.AddEvent("identity.renewed", caller.name, absl::StrCat("the certificate of a ", role));
    EMBER_RETURN_IF_ERROR(em_.Commit(batch));
    reply->set_certificate_pem(certificate);
    return absl::OkStatus();
  }

  absl::Status ApplyText(const std::string& who, const v1::ApplyRequest& request,
                         v1::ApplyReply* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const v1::Estate& current = em_.catalog->estate().estate();
    std::vector<std::string> warnings;
    const std::string file = request.file().empty() ? "estate" : request.file();
    EMBER_ASSIGN_OR_RETURN(const v1::Estate next,
                           EstateAfter(current, request.text(), file, &warnings));
    bool needs_confirmation = false;
    const std::vector<v1::PlanLine> plan = DiffEstates(current, next, &needs_confirmation);
    for (const v1::PlanLine& line : plan) *reply->add_plan() = line;
    for (std::string& warning : warnings) reply->add_warnings(std::move(warning));
    WarnAboutUnknownNodes(next, reply);
    EMBER_RETURN_IF_ERROR(RefuseMovesOfRunning(next));
    for (std::string& loss : WhatMoreWouldGo(em_, next)) {
      reply->add_warnings(std::move(loss));
      needs_confirmation = true;
    }
    reply->set_needs_confirmation(needs_confirmation);
    if (request.dry_run() || plan.empty()) return absl::OkStatus();
    if (needs_confirmation && !request.confirmed()) {
      return NeedsConfirmation(
          "the plan removes something, moves it, or keeps less (see `ember apply --dry-run`)");
    }
    EMBER_RETURN_IF_ERROR(RefuseWhileObserving(em_));
    EMBER_RETURN_IF_ERROR(Write(who, current, next));
    reply->set_applied(true);
    em_.news = true;
    return absl::OkStatus();
  }

  void WarnAboutUnknownNodes(const v1::Estate& next, v1::ApplyReply* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    std::set<std::string> names;
    for (const v1::VaultSpec& vault : next.vaults()) names.insert(vault.node());
    for (const v1::WorkloadSpec& spec : next.workloads()) {
      names.insert(spec.node());
      names.insert(spec.recovery().standby().begin(), spec.recovery().standby().end());
    }
    for (const std::string& name : names) {
      if (em_.catalog->nodes().count(name) == 0) {
        reply->add_warnings(
            absl::StrCat("node '", name, "' has not joined yet: ember node token ", name));
      }
    }
  }

  // Another node in the file would start a second copy while the first still runs.
  absl::Status RefuseMovesOfRunning(const v1::Estate& next) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    for (const v1::WorkloadSpec& spec : next.workloads()) {
      const v1::WorkloadSpec* before = em_.catalog->FindWorkload(spec.name());
      const auto record = em_.catalog->workloads().find(spec.name());
      if (before == nullptr || record == em_.catalog->workloads().end() ||
          before->node() == spec.node())
        continue;
      // Of a silent node nobody knows; that a person knows is asked for with the plan.
      const std::string& here = record->second.node();
      const HeardWorkload* heard = HeardOf(em_, here, spec.name());
      const bool running =
          StateOf(em_, here) == v1::NodeState::ALIVE && heard != nullptr && heard->fact.running();
      if (record->second.held() && !running) continue;
      return WithHint(
          absl::FailedPreconditionError(absl::StrCat("workload '", spec.name(), "' cannot move to ",
                                                     spec.node(), " while it runs on ",
                                                     record->second.node())),
          absl::StrCat("ember workload hold ", spec.name(),
                       ", apply, restore it there, then ember workload release ", spec.name()));
    }
    return absl::OkStatus();
  }

  absl::Status Write(const std::string& who, const v1::Estate& current, const v1::Estate& next)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    Batch batch;
    rec::EstateRecord estate = em_.catalog->estate();
    *estate.mutable_estate() = next;
    estate.set_version(estate.version() + 1);
    *estate.mutable_applied() = rpc::ToTimestamp(em_.clock->Now());
    KeepFormerTimes(current, next, &estate);
    batch.Put(estate);
    for (const v1::WorkloadSpec& spec : next.workloads()) PlaceWorkload(current, spec, &batch);
    EraseMailboxesNotIn(next, *em_.catalog, &batch);
    rec::MetaRecord meta = em_.catalog->meta();
    for (const auto& [name, record] : em_.catalog->workloads()) {
      if (FindWorkload(next, name) != nullptr) continue;
      batch.Erase(record);
      EndRecoveryOf(name, "the workload was removed from the estate", &batch);
      meta.set_epoch_floor(std::max(meta.epoch_floor(), record.epoch()));
    }
    batch.Put(meta);
    batch.AddEvent("estate.applied", "estate",
                   absl::StrCat("version ", estate.version(), " by ", who));
    return em_.Commit(batch);
  }

  // Agents go by the leases they hold until those are over.
  void KeepFormerTimes(const v1::Estate& current, const v1::Estate& next, rec::EstateRecord* estate)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (current.settings().SerializeAsString() == next.settings().SerializeAsString()) return;
    const DetectorPolicy before = PolicyOf(em_);
    v1::Settings* former = estate->mutable_former_settings();
    former->set_suspect_after_seconds(absl::ToInt64Seconds(before.suspect_after));
    former->set_unreachable_after_seconds(absl::ToInt64Seconds(before.unreachable_after));
    former->set_dead_after_seconds(absl::ToInt64Seconds(before.dead_after));
    *estate->mutable_former_until() = rpc::ToTimestamp(em_.clock->Now() + before.dead_after);
  }

  void PlaceWorkload(const v1::Estate& current, const v1::WorkloadSpec& spec, Batch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto it = em_.catalog->workloads().find(spec.name());
    const v1::WorkloadSpec* before = FindWorkload(current, spec.name());
    rec::WorkloadRecord record;
    if (it != em_.catalog->workloads().end()) {
      if (before != nullptr && before->node() == spec.node()) return;
      record = it->second;
      record.set_hold_recovery(false);
      EndRecoveryOf(spec.name(), absl::StrCat("the workload was moved to ", spec.node()), batch);
    } else {
      // Agents and vaults remember the epochs of an earlier one of this name.
      record.set_epoch(em_.catalog->meta().epoch_floor());
    }
    record.set_name(spec.name());
    record.set_node(spec.node());
    record.set_epoch(record.epoch() + 1);
    record.set_self_fences(false);
    record.set_state(record.held() ? v1::WorkloadState::HELD : v1::WorkloadState::STARTING);
    *record.mutable_state_since() = rpc::ToTimestamp(em_.clock->Now());
    batch->Put(record);
  }

  void EndRecoveryOf(const std::string& workload, const std::string& why, Batch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const rec::RecoveryRecord* open = OpenRecoveryOf(em_, workload);
    if (open == nullptr) return;
    rec::RecoveryRecord record = *open;
    const auto order = em_.catalog->orders().find(record.order_id());
    if (order != em_.catalog->orders().end()) batch->Erase(order->second);
    record.clear_order_id();
    record.mutable_recovery()->set_state(v1::RecoveryState::CANCELLED);
    record.mutable_recovery()->set_message(why);
    *record.mutable_recovery()->mutable_ended() = rpc::ToTimestamp(em_.clock->Now());
    batch->Put(record);
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewEstateService(EmState* em) {
  return std::make_unique<EstateServiceImpl>(em);
}

}  // namespace ember::controller
