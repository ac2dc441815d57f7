#include "tests/unit/cli/fake_em.h"

#include <utility>

#include "common/base/errors.h"
#include "common/rpc/reader_key.h"

namespace ember::cli {
namespace {

v1::Run Start(Script& s) {
  v1::Run run;
  if (s.starts.empty()) return run;
  run = s.starts.front();
  s.starts.pop_front();
  return run;
}

absl::Status Poll(Script& s, v1::Run& reply) {
  if (s.polls.empty()) return absl::NotFoundError("no run: the script has none");
  const absl::StatusOr<v1::Run> answer = s.polls.front();
  if (s.polls.size() > 1) s.polls.pop_front();
  if (answer.ok()) reply = *answer;
  return answer.status();
}

absl::Status Page(Script& s, v1::ListEventsReply& page) {
  if (s.on_event_page) s.on_event_page();
  if (s.events.empty()) {
    if (s.unavailable_after_events) return absl::UnavailableError("gone");
    page.set_last_seq(s.events_request.after_seq());
    return absl::OkStatus();
  }
  page = s.events.front();
  s.events.pop_front();
  return absl::OkStatus();
}

// Notes the call, then either the scripted failure or `answer`.
template <typename Answer>
grpc::Status Reply(Script& s, const char* method, Answer answer) {
  s.calls.push_back(method);
  if (!s.failure.ok()) return rpc::ToGrpc(s.failure);
  return rpc::ToGrpc(answer());
}

}  // namespace

class FakeEm::Estate : public v1::EstateService::Service {
 public:
  explicit Estate(Script& script) : s(script) {}
  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request,
                     v1::ApplyReply* reply) override {
    return Reply(s, "Apply", [&]() -> absl::Status {
      s.applies.push_back(*request);
      *reply = s.apply;
      reply->set_applied(!request->dry_run());
      return absl::OkStatus();
    });
  }
  grpc::Status Export(grpc::ServerContext*, const v1::ExportRequest*,
                      v1::ExportReply* reply) override {
    return Reply(s, "Export", [&]() -> absl::Status {
      *reply = s.exported;
      return absl::OkStatus();
    });
  }
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusReply* reply) override {
    return Reply(s, "Status", [&]() -> absl::Status {
      *reply = s.status;
      return absl::OkStatus();
    });
  }
  grpc::Status RenewIdentity(grpc::ServerContext*, const v1::RenewCertificateRequest* request,
                             v1::RenewCertificateReply* reply) override {
    return Reply(s, "RenewIdentity", [&]() -> absl::Status {
      if (!s.sign) return absl::UnavailableError("the script signs nothing");
      reply->set_certificate_pem(s.sign(request->csr_pem()));
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

class FakeEm::Fleet : public v1::FleetService::Service {
 public:
  explicit Fleet(Script& script) : s(script) {}
  grpc::Status CreateToken(grpc::ServerContext*, const v1::CreateTokenRequest* request,
                           v1::CreateTokenReply* reply) override {
    return Reply(s, "CreateToken", [&]() -> absl::Status {
      s.token_request = *request;
      *reply = s.token;
      return absl::OkStatus();
    });
  }
  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesReply* reply) override {
    return Reply(s, "ListNodes", [&]() -> absl::Status {
      *reply = s.nodes;
      return absl::OkStatus();
    });
  }
  grpc::Status GetNode(grpc::ServerContext*, const v1::GetNodeRequest*, v1::Node* reply) override {
    return Reply(s, "GetNode", [&]() -> absl::Status {
      *reply = s.node;
      return absl::OkStatus();
    });
  }
  grpc::Status SetMaintenance(grpc::ServerContext*, const v1::SetMaintenanceRequest* request,
                              v1::Node* reply) override {
    return Reply(s, "SetMaintenance", [&]() -> absl::Status {
      s.maintenance_request = *request;
      *reply = s.node;
      return absl::OkStatus();
    });
  }
  grpc::Status DrainNode(grpc::ServerContext*, const v1::DrainNodeRequest* request,
                         v1::DrainNodeReply* reply) override {
    return Reply(s, "DrainNode", [&]() -> absl::Status {
      s.drain_request = *request;
      *reply = s.drain;
      return absl::OkStatus();
    });
  }
  grpc::Status MoveWorkload(grpc::ServerContext*, const v1::MoveWorkloadRequest* request,
                            v1::Recovery* reply) override {
    return Reply(s, "MoveWorkload", [&]() -> absl::Status {
      s.move_request = *request;
      *reply = s.move;
      return absl::OkStatus();
    });
  }
  grpc::Status SetEstateMaintenance(grpc::ServerContext*, const v1::SetMaintenanceRequest* request,
                                    v1::Em* reply) override {
    return Reply(s, "SetEstateMaintenance", [&]() -> absl::Status {
      s.maintenance_request = *request;
      reply->set_maintenance(request->on());
      return absl::OkStatus();
    });
  }
  grpc::Status RemoveNode(grpc::ServerContext*, const v1::RemoveNodeRequest*,
                          v1::Node* reply) override {
    return Reply(s, "RemoveNode", [&]() -> absl::Status {
      *reply = s.node;
      return absl::OkStatus();
    });
  }
  grpc::Status ListWorkloads(grpc::ServerContext*, const v1::ListWorkloadsRequest*,
                             v1::ListWorkloadsReply* reply) override {
    return Reply(s, "ListWorkloads", [&]() -> absl::Status {
      *reply = s.workloads;
      return absl::OkStatus();
    });
  }
  grpc::Status GetWorkload(grpc::ServerContext*, const v1::GetWorkloadRequest*,
                           v1::Workload* reply) override {
    return Reply(s, "GetWorkload", [&]() -> absl::Status {
      *reply = s.workload;
      return absl::OkStatus();
    });
  }
  grpc::Status RestartWorkload(grpc::ServerContext*, const v1::RestartWorkloadRequest*,
                               v1::Workload* reply) override {
    return Reply(s, "RestartWorkload", [&]() -> absl::Status {
      *reply = s.workload;
      return absl::OkStatus();
    });
  }
  grpc::Status HoldWorkload(grpc::ServerContext*, const v1::HoldWorkloadRequest* request,
                            v1::Workload* reply) override {
    return Reply(s, "HoldWorkload", [&]() -> absl::Status {
      s.hold_request = *request;
      *reply = s.workload;
      return absl::OkStatus();
    });
  }
  grpc::Status Beat(grpc::ServerContext*, const v1::BeatRequest*, v1::BeatReply*) override {
    return Reply(s, "Beat", [&]() -> absl::Status { return absl::OkStatus(); });
  }
  grpc::Status ListVaults(grpc::ServerContext*, const v1::ListVaultsRequest*,
                          v1::ListVaultsReply* reply) override {
    return Reply(s, "ListVaults", [&]() -> absl::Status {
      *reply = s.vaults;
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

class FakeEm::Protection : public v1::ProtectionService::Service {
 public:
  explicit Protection(Script& script) : s(script) {}
  grpc::Status RunBackup(grpc::ServerContext*, const v1::RunBackupRequest* request,
                         v1::Run* reply) override {
    return Reply(s, "RunBackup", [&]() -> absl::Status {
      s.backup_request = *request;
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status Restore(grpc::ServerContext*, const v1::RestoreRequest* request,
                       v1::Run* reply) override {
    return Reply(s, "Restore", [&]() -> absl::Status {
      s.restores.push_back(*request);
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status VerifyBackup(grpc::ServerContext*, const v1::VerifyBackupRequest* request,
                            v1::Run* reply) override {
    return Reply(s, "VerifyBackup", [&]() -> absl::Status {
      s.verify_request = *request;
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status ListFiles(grpc::ServerContext*, const v1::ListFilesRequest* request,
                         v1::Run* reply) override {
    return Reply(s, "ListFiles", [&]() -> absl::Status {
      s.listings.push_back(*request);
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status DiffBackups(grpc::ServerContext*, const v1::DiffBackupsRequest* request,
                           v1::Run* reply) override {
    return Reply(s, "DiffBackups", [&]() -> absl::Status {
      s.diffs.push_back(*request);
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status ReadFile(grpc::ServerContext*, const v1::ReadFileRequest* request,
                        v1::Run* reply) override {
    return Reply(s, "ReadFile", [&]() -> absl::Status {
      *reply = Start(s);
      const auto offset = static_cast<size_t>(request->offset());
      auto sealed = rpc::SealForReader(request->reader_key(), request->backup(), request->path(),
                                       request->offset(), s.file.substr(offset, s.file_part));
      if (!sealed.ok()) return sealed.status();
      reply->set_outcome(v1::Outcome::OK);
      reply->mutable_part()->set_sealed(*sealed);
      reply->mutable_part()->set_size(static_cast<int64_t>(s.file.size()));
      return absl::OkStatus();
    });
  }
  grpc::Status PlanClean(grpc::ServerContext*, const v1::PlanCleanRequest*,
                         v1::CleanPlan* reply) override {
    return Reply(s, "PlanClean", [&]() -> absl::Status {
      *reply = s.clean_plan;
      return absl::OkStatus();
    });
  }
  grpc::Status Clean(grpc::ServerContext*, const v1::CleanRequest* request,
                     v1::CleanReply* reply) override {
    return Reply(s, "Clean", [&]() -> absl::Status {
      s.cleans.push_back(*request);
      if (!s.cost.empty() && !request->confirmed()) return NeedsConfirmation(s.cost);
      for (const std::string& id : request->ids()) {
        v1::Run run = Start(s);
        run.set_kind("delete");
        run.set_backup_id(id);
        run.set_outcome(v1::Outcome::OK);
        *reply->add_runs() = run;
      }
      return absl::OkStatus();
    });
  }
  grpc::Status ListNextRuns(grpc::ServerContext*, const v1::ListNextRunsRequest* request,
                            v1::ListNextRunsReply* reply) override {
    return Reply(s, "ListNextRuns", [&]() -> absl::Status {
      s.next_runs_request = *request;
      *reply = s.next_runs;
      return absl::OkStatus();
    });
  }
  grpc::Status GetRun(grpc::ServerContext*, const v1::GetRunRequest*, v1::Run* reply) override {
    return Reply(s, "GetRun", [&]() -> absl::Status { return Poll(s, *reply); });
  }
  grpc::Status CancelRun(grpc::ServerContext*, const v1::GetRunRequest*, v1::Run* reply) override {
    return Reply(s, "CancelRun", [&]() -> absl::Status {
      *reply = s.cancelled;
      return absl::OkStatus();
    });
  }
  grpc::Status ListBackups(grpc::ServerContext*, const v1::ListBackupsRequest*,
                           v1::ListBackupsReply* reply) override {
    return Reply(s, "ListBackups", [&]() -> absl::Status {
      *reply = s.backups;
      return absl::OkStatus();
    });
  }
  grpc::Status GetBackup(grpc::ServerContext*, const v1::GetBackupRequest* request,
                         v1::Backup* reply) override {
    return Reply(s, "GetBackup", [&]() -> absl::Status {
      *reply = s.backup;
      if (reply->id().empty()) reply->set_id(request->id());
      return absl::OkStatus();
    });
  }
  grpc::Status PinBackup(grpc::ServerContext*, const v1::PinBackupRequest* request,
                         v1::Backup* reply) override {
    return Reply(s, "PinBackup", [&]() -> absl::Status {
      s.pin_request = *request;
      *reply = s.backup;
      return absl::OkStatus();
    });
  }
  grpc::Status DeleteBackup(grpc::ServerContext*, const v1::DeleteBackupRequest* request,
                            v1::Run* reply) override {
    return Reply(s, "DeleteBackup", [&]() -> absl::Status {
      s.deletes.push_back(*request);
      if (!s.refusal.ok()) return s.refusal;
      if (!s.cost.empty() && !request->confirmed()) return NeedsConfirmation(s.cost);
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status UndeleteBackup(grpc::ServerContext*, const v1::GetBackupRequest* request,
                              v1::Run* reply) override {
    return Reply(s, "UndeleteBackup", [&]() -> absl::Status {
      s.undelete_request = *request;
      *reply = Start(s);
      return absl::OkStatus();
    });
  }
  grpc::Status RunVaultJob(grpc::ServerContext*, const v1::VaultJobRequest* request,
                           v1::Run* reply) override {
    return Reply(s, "RunVaultJob", [&]() -> absl::Status {
      s.vault_jobs.push_back(*request);
      if (!s.cost.empty() && !request->confirmed()) return NeedsConfirmation(s.cost);
      *reply = Start(s);
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

class FakeEm::Recovery : public v1::RecoveryService::Service {
 public:
  explicit Recovery(Script& script) : s(script) {}
  grpc::Status ListRecoveries(grpc::ServerContext*, const v1::ListRecoveriesRequest*,
                              v1::ListRecoveriesReply* reply) override {
    return Reply(s, "ListRecoveries", [&]() -> absl::Status {
      *reply = s.recoveries;
      return absl::OkStatus();
    });
  }
  grpc::Status GetRecovery(grpc::ServerContext*, const v1::GetRecoveryRequest*,
                           v1::Recovery* reply) override {
    return Reply(s, "GetRecovery", [&]() -> absl::Status {
      *reply = s.recovery;
      return absl::OkStatus();
    });
  }
  grpc::Status Arm(grpc::ServerContext*, const v1::ArmRequest* request,
                   v1::ArmReply* reply) override {
    return Reply(s, "Arm", [&]() -> absl::Status {
      s.arms.push_back(*request);
      *reply = s.arm;
      reply->set_armed(request->confirmed());
      return absl::OkStatus();
    });
  }
  grpc::Status ApproveRecovery(grpc::ServerContext*, const v1::GetRecoveryRequest*,
                               v1::Recovery* reply) override {
    return Reply(s, "ApproveRecovery", [&]() -> absl::Status {
      *reply = s.recovery;
      return absl::OkStatus();
    });
  }
  grpc::Status CancelRecovery(grpc::ServerContext*, const v1::GetRecoveryRequest*,
                              v1::Recovery* reply) override {
    return Reply(s, "CancelRecovery", [&]() -> absl::Status {
      *reply = s.recovery;
      return absl::OkStatus();
    });
  }
  grpc::Status PlanRecovery(grpc::ServerContext*, const v1::PlanRecoveryRequest*,
                            v1::PlanRecoveryReply* reply) override {
    return Reply(s, "PlanRecovery", [&]() -> absl::Status {
      *reply = s.plan;
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

class FakeEm::Messages : public v1::MessageService::Service {
 public:
  explicit Messages(Script& script) : s(script) {}
  grpc::Status Send(grpc::ServerContext*, const v1::SendMessageRequest* request,
                    v1::SendMessageReply* reply) override {
    return Reply(s, "Send", [&]() -> absl::Status {
      s.sent = *request;
      *reply->mutable_message() = request->message();
      return absl::OkStatus();
    });
  }
  grpc::Status Receive(grpc::ServerContext*, const v1::ReceiveMessageRequest*,
                       v1::Message* reply) override {
    return Reply(s, "Receive", [&]() -> absl::Status {
      if (s.messages.empty()) return absl::OkStatus();
      const absl::StatusOr<v1::Message> message = s.messages.front();
      s.messages.pop_front();
      if (message.ok()) *reply = *message;
      return message.status();
    });
  }
  grpc::Status Confirm(grpc::ServerContext*, const v1::ConfirmMessageRequest* request,
                       v1::ConfirmMessageReply*) override {
    return Reply(s, "Confirm", [&]() -> absl::Status {
      s.confirmed.push_back(request->seq());
      return absl::OkStatus();
    });
  }
  grpc::Status ListMessages(grpc::ServerContext*, const v1::ListMessagesRequest*,
                            v1::ListMessagesReply* reply) override {
    return Reply(s, "ListMessages", [&]() -> absl::Status {
      *reply = s.message_list;
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

class FakeEm::Events : public v1::EventService::Service {
 public:
  explicit Events(Script& script) : s(script) {}
  grpc::Status ListEvents(grpc::ServerContext*, const v1::ListEventsRequest* request,
                          v1::ListEventsReply* reply) override {
    return Reply(s, "ListEvents", [&]() -> absl::Status {
      s.events_request = *request;
      return Page(s, *reply);
    });
  }
  grpc::Status VerifyLog(grpc::ServerContext*, const v1::VerifyLogRequest*,
                         v1::VerifyLogReply* reply) override {
    return Reply(s, "VerifyLog", [&]() -> absl::Status {
      *reply = s.log;
      return absl::OkStatus();
    });
  }

 private:
  Script& s;
};

FakeEm::FakeEm()
    : estate_(std::make_unique<Estate>(script_)),
      fleet_(std::make_unique<Fleet>(script_)),
      protection_(std::make_unique<Protection>(script_)),
      recovery_(std::make_unique<Recovery>(script_)),
      events_(std::make_unique<Events>(script_)),
      messages_(std::make_unique<Messages>(script_)) {
  grpc::ServerBuilder builder;
  builder.RegisterService(estate_.get());
  builder.RegisterService(fleet_.get());
  builder.RegisterService(protection_.get());
  builder.RegisterService(recovery_.get());
  builder.RegisterService(events_.get());
  builder.RegisterService(messages_.get());
  server_ = builder.BuildAndStart();
}

FakeEm::~FakeEm() { server_->Shutdown(); }

std::shared_ptr<grpc::Channel> FakeEm::Channel() {
  return server_->InProcessChannel(grpc::ChannelArguments());
}

}  // namespace ember::cli
