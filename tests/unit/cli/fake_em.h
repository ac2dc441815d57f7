// An EM that answers what a test tells it to, behind real gRPC services in this process.
#ifndef EMBER_TESTS_UNIT_CLI_FAKE_EM_H_
#define EMBER_TESTS_UNIT_CLI_FAKE_EM_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/convert.h"
#include "ember/v1/control.grpc.pb.h"
#include "ember/v1/control.pb.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace ember::cli {

// What the EM answers, and what it was asked. The tests call one RPC at a time, so nothing here is
// locked.
struct Script {
  absl::Status failure;  // every call's, unless OK
  v1::ApplyReply apply;
  v1::ExportReply exported;
  v1::StatusReply status;
  v1::CreateTokenReply token;
  v1::ListNodesReply nodes;
  v1::Node node;
  v1::ListWorkloadsReply workloads;
  v1::Workload workload;
  v1::DrainNodeReply drain;
  v1::Recovery move;
  v1::ListVaultsReply vaults;
  std::deque<v1::Run> starts;                 // of every call that begins a run
  std::deque<absl::StatusOr<v1::Run>> polls;  // of GetRun; the last repeats
  v1::Run cancelled;
  absl::Status refusal;  // of DeleteBackup, unless OK
  std::string cost;      // not empty: deletions and emptying the trash want a confirmation of this
  v1::ListBackupsReply backups;
  v1::Backup backup;
  v1::ListRecoveriesReply recoveries;
  v1::Recovery recovery;
  v1::PlanRecoveryReply plan;
  std::deque<v1::ListEventsReply> events;  // then empty pages at the last position
  bool unavailable_after_events = false;   // instead of those empty pages
  std::function<void()> on_event_page;
  v1::VerifyLogReply log;
  v1::ArmReply arm;
  std::deque<absl::StatusOr<v1::Message>> messages;  // of Receive; then none
  v1::ListMessagesReply message_list;
  std::function<std::string(const std::string& csr_pem)> sign;  // of RenewIdentity

  std::vector<std::string> calls;  // names of the methods
  std::vector<v1::ApplyRequest> applies;
  std::vector<v1::RestoreRequest> restores;
  std::vector<v1::ListFilesRequest> listings;
  std::vector<v1::DiffBackupsRequest> diffs;
  std::string file;  // what ReadFile reads, in parts of file_part bytes
  size_t file_part = 4;
  v1::CleanPlan clean_plan;
  std::vector<v1::CleanRequest> cleans;
  v1::ListNextRunsReply next_runs;
  v1::ListNextRunsRequest next_runs_request;
  v1::VerifyBackupRequest verify_request;
  v1::CreateTokenRequest token_request;
  v1::SetMaintenanceRequest maintenance_request;
  v1::HoldWorkloadRequest hold_request;
  v1::DrainNodeRequest drain_request;
  v1::MoveWorkloadRequest move_request;
  v1::RunBackupRequest backup_request;
  v1::PinBackupRequest pin_request;
  std::vector<v1::DeleteBackupRequest> deletes;
  v1::GetBackupRequest undelete_request;
  std::vector<v1::VaultJobRequest> vault_jobs;
  v1::ListEventsRequest events_request;
  std::vector<v1::ArmRequest> arms;
  v1::SendMessageRequest sent;
  std::vector<uint64_t> confirmed;
};

class FakeEm {
 public:
  FakeEm();
  ~FakeEm();
  Script& script() { return script_; }
  std::shared_ptr<grpc::Channel> Channel();

 private:
  class Estate;
  class Fleet;
  class Protection;
  class Recovery;
  class Events;
  class Messages;

  Script script_;
  std::unique_ptr<Estate> estate_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Protection> protection_;
  std::unique_ptr<Recovery> recovery_;
  std::unique_ptr<Events> events_;
  std::unique_ptr<Messages> messages_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace ember::cli

#endif  // EMBER_TESTS_UNIT_CLI_FAKE_EM_H_
