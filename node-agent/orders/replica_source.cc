// Another node's vault, as the engine of a vault hosted here reads it.
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/stream.h"
#include "ember/v1/vault.grpc.pb.h"
#include "node-agent/orders/data_plane.h"

namespace ember::agent {
namespace {

class DialledReplicaSource : public vault::ReplicaSource {
 public:
  DialledReplicaSource(const v1::VaultAddress& address, std::shared_ptr<grpc::Channel> channel)
      : name_(address.name()),
        read_grant_(address.read_grant()),
        stub_(v1::VaultService::NewStub(channel)),
        port_(backup::OpenGrpcVault(std::move(channel), name_, read_grant_)) {}

  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups() override {
    auto list = port_->ListBackups("");
    if (!list.ok()) return Told(list.status());
    return list;
  }
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    auto backup = port_->GetBackup(backup_id);
    if (!backup.ok()) return Told(backup.status());
    return backup;
  }
  absl::Status Read(const v1::ReadRequest& request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    return Told(port_->Read(request, sink));
  }
  absl::Status ReadRefs(const std::string& backup_id,
                        const std::function<absl::Status(absl::string_view)>& sink) override {
    v1::GetStoredBackupRequest request;
    request.set_vault(name_);
    request.set_backup_id(backup_id);
    *request.mutable_read_grant() = read_grant_;
    grpc::ClientContext context;
    context.set_deadline(gpr_time_from_seconds(kVaultCommitSeconds, GPR_TIMESPAN));
    const auto stream = stub_->ReadRefs(&context, request);
    return rpc::ReadAll(
        context, *stream, [&](const v1::ReadRefsReply& reply) { return sink(reply.ids()); },
        [this](const grpc::Status& ended) { return Told(rpc::FromGrpc(ended)); });
  }

 private:
  // Errors of a job with two vaults say which one they are about.
  absl::Status Told(const absl::Status& status) const {
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)
               ? absl::UnavailableError(absl::StrCat("vault '", name_, "': ", status.message()))
               : status;
  }

  const std::string name_;
  const v1::Signed read_grant_;
  const std::unique_ptr<v1::VaultService::Stub> stub_;
  const std::unique_ptr<backup::VaultPort> port_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<vault::ReplicaSource>> DialReplicaSource(
    const v1::VaultAddress& address, const rpc::Identity& identity) {
  EMBER_ASSIGN_OR_RETURN(auto channel, DialVaultNode(address, identity));
  return std::make_unique<DialledReplicaSource>(address, std::move(channel));
}

}  // namespace ember::agent
