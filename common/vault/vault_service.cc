#include "common/vault/vault_service.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "common/rpc/signed.h"
#include "common/vault/request_check.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace ember::vault {
namespace {

using grpc::ServerContext;

// The caller as a writer: an agent. Everybody else that the role table lets in may only read.
absl::StatusOr<std::string> WriterOf(const ServerContext& context) {
  const rpc::Peer peer = rpc::CallerOf(context);
  if (peer.role != v1::Role::AGENT || peer.name.empty()) {
    return PeerRefused(peer.name, "only agents write to vaults");
  }
  return peer.name;
}

// A handler's StatusOr as gRPC wants it.
template <typename Reply>
grpc::Status Finish(absl::StatusOr<Reply> result, Reply* reply) {
  if (!result.ok()) return rpc::ToGrpc(result.status());
  *reply = *std::move(result);
  return grpc::Status::OK;
}

class Service : public v1::VaultService::Service {
 public:
  Service(VaultLookup lookup, std::function<rpc::Identity()> identity, rpc::RefusalReport refused)
      : lookup_(std::move(lookup)), identity_(std::move(identity)), refused_(std::move(refused)) {}

  grpc::Status OpenSession(ServerContext* context, const v1::OpenSessionRequest* request,
                           v1::OpenSessionReply* reply) override {
    return Finish(OnOpenSession(*context, *request), reply);
  }
  grpc::Status Have(ServerContext* context, const v1::HaveRequest* request,
                    v1::HaveReply* reply) override {
    return Finish(OnHave(*context, *request), reply);
  }
  grpc::Status Upload(
      ServerContext* context,
      grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>* stream) override {
    return rpc::ToGrpc(OnUpload(*context, *stream));
  }
  grpc::Status Commit(ServerContext* context, grpc::ServerReader<v1::CommitRequest>* stream,
                      v1::CommitReply* reply) override {
    return Finish(OnCommit(*context, *stream), reply);
  }
  grpc::Status GetBackup(ServerContext* context, const v1::GetStoredBackupRequest* request,
                         v1::StoredBackup* reply) override {
    return Finish(OnGetBackup(*context, *request), reply);
  }
  grpc::Status ListBackups(ServerContext* context, const v1::ListStoredBackupsRequest* request,
                           v1::ListStoredBackupsReply* reply) override {
    return Finish(OnListBackups(*context, *request), reply);
  }
  grpc::Status ReadRefs(ServerContext* context, const v1::GetStoredBackupRequest* request,
                        grpc::ServerWriter<v1::ReadRefsReply>* stream) override {
    return rpc::ToGrpc(OnReadRefs(*context, *request, *stream));
  }
  grpc::Status Read(ServerContext* context, const v1::ReadRequest* request,
                    grpc::ServerWriter<v1::ReadReply>* stream) override {
    return rpc::ToGrpc(OnRead(*context, *request, *stream));
  }

 private:
  absl::StatusOr<std::shared_ptr<Vault>> Find(const std::string& name) {
    EMBER_ASSIGN_OR_RETURN(std::shared_ptr<Vault> vault, lookup_(name));
    if (vault == nullptr) return VaultNotFound(name);
    return vault;
  }

  absl::StatusOr<v1::OpenSessionReply> OnOpenSession(const ServerContext& context,
                                                     const v1::OpenSessionRequest& request) {
    EMBER_ASSIGN_OR_RETURN(const std::string node, WriterOf(context));
    if (const absl::Status may = CheckMayOpen(node, request); !may.ok()) {
      const absl::Status why = PeerRefused(absl::StrCat("agent ", node), may.message());
      refused_(rpc::CallerOf(context), "OpenSession", why);
      return why;
    }
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    return vault->OpenSession(node, request);
  }

  // A stolen certificate must not put records where another node's backups would rely on them, nor
  // end another node's sessions.
  absl::Status CheckMayOpen(const std::string& node, const v1::OpenSessionRequest& request) const {
    if (request.domain_id() != DomainOfNode(node)) {
      return absl::PermissionDeniedError(
          absl::StrCat("dedup domain '", request.domain_id(), "' is not its own"));
    }
    v1::Grant needed;
    needed.set_node(node);
    needed.set_workload(request.workload());
    needed.set_epoch(request.epoch());
    needed.set_vault(request.vault());
    needed.set_backup_id(request.backup_id());
    return rpc::CheckGrant(identity_().ca_pem, request.grant(), needed);
  }

  absl::StatusOr<v1::HaveReply> OnHave(const ServerContext& context,
                                       const v1::HaveRequest& request) {
    EMBER_ASSIGN_OR_RETURN(const std::string node, WriterOf(context));
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    return vault->Have(node, request);
  }

  absl::Status OnUpload(const ServerContext& context,
                        grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>& stream) {
    EMBER_ASSIGN_OR_RETURN(const std::string node, WriterOf(context));
    v1::UploadRequest request;
    v1::UploadReply reply;
    std::shared_ptr<Vault> vault;
    std::string vault_name;
    std::string session_id;
    while (stream.Read(&request)) {
      if (vault == nullptr) {
        vault_name = request.vault();
        session_id = request.session_id();
        EMBER_ASSIGN_OR_RETURN(vault, Find(vault_name));
      }
      // The counts are of one session, so a stream serves one.
      if (request.vault() != vault_name || request.session_id() != session_id) {
        return absl::InvalidArgumentError("one upload stream names two sessions");
      }
      EMBER_RETURN_IF_ERROR(vault->Append(node, request));
      reply.set_received(reply.received() + static_cast<uint64_t>(request.records_size()));
      if (request.flush()) {
        EMBER_ASSIGN_OR_RETURN(const int64_t stored, vault->Sync(session_id));
        reply.set_stored_bytes(stored);
        reply.set_durable(reply.received());
      }
      if (!stream.Write(reply)) break;
    }
    // Whatever became of its sender: what came is kept, and not sent again by the next session.
    if (vault != nullptr) vault->Sync(session_id).IgnoreError();
    return absl::OkStatus();
  }

  absl::StatusOr<v1::CommitReply> OnCommit(const ServerContext& context,
                                           grpc::ServerReader<v1::CommitRequest>& stream) {
    EMBER_ASSIGN_OR_RETURN(const std::string node, WriterOf(context));
    v1::CommitRequest first;
    if (!stream.Read(&first) || !first.has_header()) {
      return absl::InvalidArgumentError("a commit begins with its header");
    }
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(first.vault()));
    // A broken stream also ends the ids; their count in the header tells.
    const Pieces ids = [&](const PieceSink& sink) -> absl::Status {
      v1::CommitRequest more = first;
      do {
        EMBER_RETURN_IF_ERROR(CheckCommitIds(more));
        EMBER_RETURN_IF_ERROR(sink(absl::StrJoin(more.ids(), "")));
      } while (stream.Read(&more));
      return absl::OkStatus();
    };
    EMBER_ASSIGN_OR_RETURN(
        v1::CommitReply reply,
        vault->Commit(node, first.session_id(), first.token(), first.header(), ids));
    if (reply.need().empty())
      EMBER_RETURN_IF_ERROR(rpc::SignReceipt(identity_(), reply.mutable_receipt()));
    return reply;
  }

  // What of a vault the caller may read: the domain, or empty for all. Whoever may name the ids
  // that others stored could store something else under them where they are not yet.
  absl::StatusOr<std::string> ScopeOf(const ServerContext& context, const std::string& vault,
                                      const v1::Signed& read_grant) const {
    const rpc::Peer peer = rpc::CallerOf(context);
    if (peer.role != v1::Role::AGENT) return std::string();
    if (read_grant.statement().empty()) return DomainOfNode(peer.name);
    const auto grant = rpc::OpenReadGrant(identity_().ca_pem, read_grant, peer.name, vault);
    if (!grant.ok()) {
      const absl::Status why =
          PeerRefused(absl::StrCat("agent ", peer.name), grant.status().message());
      refused_(peer, "Read", why);
      return why;
    }
    if (grant->every_domain()) return std::string();
    return grant->domain_id().empty() ? DomainOfNode(peer.name) : grant->domain_id();
  }
  static bool IsWithin(const std::string& scope, const v1::StoredBackup& backup) {
    return scope.empty() || backup.domain_id() == scope;
  }

  absl::StatusOr<v1::StoredBackup> OnGetBackup(const ServerContext& context,
                                               const v1::GetStoredBackupRequest& request) {
    EMBER_ASSIGN_OR_RETURN(const std::string scope,
                           ScopeOf(context, request.vault(), request.read_grant()));
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    EMBER_ASSIGN_OR_RETURN(v1::StoredBackup backup, vault->GetBackup(request.backup_id()));
    if (!IsWithin(scope, backup)) return BackupNotFound(request.backup_id());
    EMBER_RETURN_IF_ERROR(rpc::SignReceipt(identity_(), backup.mutable_receipt()));
    return backup;
  }

  absl::StatusOr<v1::ListStoredBackupsReply> OnListBackups(
      const ServerContext& context, const v1::ListStoredBackupsRequest& request) {
    EMBER_ASSIGN_OR_RETURN(const std::string scope,
                           ScopeOf(context, request.vault(), request.read_grant()));
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply all,
                           vault->ListBackups(request.workload()));
    v1::ListStoredBackupsReply reply;
    for (const v1::StoredBackup& backup : all.items())
      if (IsWithin(scope, backup)) *reply.add_items() = backup;
    return reply;
  }

  absl::Status OnReadRefs(const ServerContext& context, const v1::GetStoredBackupRequest& request,
                          grpc::ServerWriter<v1::ReadRefsReply>& stream) {
    EMBER_ASSIGN_OR_RETURN(const std::string scope,
                           ScopeOf(context, request.vault(), request.read_grant()));
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    if (!scope.empty()) {
      EMBER_ASSIGN_OR_RETURN(const v1::StoredBackup backup, vault->GetBackup(request.backup_id()));
      if (!IsWithin(scope, backup)) return BackupNotFound(request.backup_id());
    }
    return vault->ReadRefs(request.backup_id(), [&](absl::string_view ids) {
      v1::ReadRefsReply reply;
      reply.set_ids(ids.data(), ids.size());
      return stream.Write(reply) ? absl::OkStatus() : absl::CancelledError("the reader is gone");
    });
  }

  absl::Status OnRead(const ServerContext& context, const v1::ReadRequest& request,
                      grpc::ServerWriter<v1::ReadReply>& stream) {
    EMBER_ASSIGN_OR_RETURN(const std::string scope,
                           ScopeOf(context, request.vault(), request.read_grant()));
    EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<Vault> vault, Find(request.vault()));
    return vault->Read(request, scope, [&stream](v1::ReadReply&& reply) {
      return stream.Write(reply) ? absl::OkStatus() : absl::CancelledError("the reader is gone");
    });
  }

  const VaultLookup lookup_;
  const std::function<rpc::Identity()> identity_;
  const rpc::RefusalReport refused_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewVaultService(VaultLookup lookup,
                                               std::function<rpc::Identity()> identity,
                                               rpc::RefusalReport refused) {
  return std::make_unique<Service>(std::move(lookup), std::move(identity), std::move(refused));
}

}  // namespace ember::vault
