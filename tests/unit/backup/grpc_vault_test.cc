// The gRPC port against a plain service over the vault in memory: same contract, and faults of the
// transport.
#include <atomic>
#include <map>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/backup/vault_port.h"
#include "common/rpc/convert.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "tests/contract/vault_port_contract.h"
#include "tests/support/memory_vault.h"
#include "tests/support/pieces.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using rpc::ToGrpc;

class Service : public v1::VaultService::Service {
 public:
  MemoryVault vault;
  std::atomic<int> break_upload_after{-1};  // requests
  std::atomic<int> reads_to_break{0};       // each after its first reply
  std::atomic<int> reads_refused{0};

  grpc::Status OpenSession(grpc::ServerContext*, const v1::OpenSessionRequest* request,
                           v1::OpenSessionReply* reply) override {
    if (request->vault() != "main") return ToGrpc(absl::NotFoundError("no such vault"));
    auto session = vault.OpenSession(*request);
    if (!session.ok()) return ToGrpc(session.status());
    reply->set_token(42);
    reply->set_domain_empty((*session)->domain_empty());
    reply->set_parent_present((*session)->parent_present());
    if ((*session)->known() != nullptr) reply->set_known((*session)->known()->Serialize());
    absl::MutexLock lock(&mu_);
    sessions_[request->session_id()] = *std::move(session);
    return grpc::Status::OK;
  }
  grpc::Status Have(grpc::ServerContext*, const v1::HaveRequest* request,
                    v1::HaveReply* reply) override {
    if (request->token() != 42) return ToGrpc(absl::AbortedError("wrong token"));
    auto absent = Of(request->session_id())->Absent({request->ids().begin(), request->ids().end()});
    if (!absent.ok()) return ToGrpc(absent.status());
    for (const bool one : *absent) reply->mutable_absent()->push_back(one ? 1 : 0);
    return grpc::Status::OK;
  }
  grpc::Status Upload(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>* stream) override {
    v1::UploadRequest request;
    v1::UploadReply reply;
    for (int count = 0; stream->Read(&request); ++count) {
      if (count == break_upload_after) return ToGrpc(absl::ResourceExhaustedError("disk full"));
      for (const v1::Record& record : request.records()) {
        const absl::Status status = Of(request.session_id())->Upload(record);
        if (!status.ok()) return ToGrpc(status);
        reply.set_received(reply.received() + 1);
      }
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }
  grpc::Status Commit(grpc::ServerContext*, grpc::ServerReader<v1::CommitRequest>* stream,
                      v1::CommitReply* reply) override {
    v1::CommitRequest request;
    v1::CommitHeader header;
    std::string session;
    std::vector<std::string> ids;
    while (stream->Read(&request)) {
      session = request.session_id();
      if (request.has_header()) header = request.header();
      ids.insert(ids.end(), request.ids().begin(), request.ids().end());
    }
    auto committed = Of(session)->Commit(header, PiecesOf(std::move(ids)));
    if (committed.ok()) *reply = *committed;
    return ToGrpc(committed.status());
  }
  grpc::Status GetBackup(grpc::ServerContext*, const v1::GetStoredBackupRequest* request,
                         v1::StoredBackup* reply) override {
    auto stored = vault.GetBackup(request->backup_id());
    if (stored.ok()) *reply = *stored;
    return ToGrpc(stored.status());
  }
  grpc::Status ListBackups(grpc::ServerContext*, const v1::ListStoredBackupsRequest* request,
                           v1::ListStoredBackupsReply* reply) override {
    auto list = vault.ListBackups(request->workload());
    if (list.ok()) *reply = *list;
    return ToGrpc(list.status());
  }
  grpc::Status Read(grpc::ServerContext*, const v1::ReadRequest* request,
                    grpc::ServerWriter<v1::ReadReply>* stream) override {
    if (reads_refused > 0) {
      --reads_refused;
      return ToGrpc(absl::UnavailableError("not now"));
    }
    bool first = true;
    return ToGrpc(vault.Read(*request, [&](v1::ReadReply&& reply) -> absl::Status {
      if (!std::exchange(first, false) && reads_to_break > 0) {
        --reads_to_break;
        return absl::UnavailableError("the connection broke");
      }
      return stream->Write(reply) ? absl::OkStatus() : absl::CancelledError("the reader left");
    }));
  }

 private:
  backup::VaultSession* Of(const std::string& session_id) {
    absl::MutexLock lock(&mu_);
    return sessions_.at(session_id).get();
  }
  absl::Mutex mu_;
  std::map<std::string, std::unique_ptr<backup::VaultSession>> sessions_;
};

class OverGrpc : public VaultUnderTest {
 public:
  OverGrpc() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.RegisterService(&service);
    builder.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    server = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
    port_ = backup::OpenGrpcVault(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments), "main");
  }
  ~OverGrpc() override { server->Shutdown(gpr_time_from_seconds(0, GPR_TIMESPAN)); }
  backup::VaultPort* port() override { return port_.get(); }

  Service service;
  std::unique_ptr<grpc::Server> server;
  std::string address;

 private:
  std::unique_ptr<backup::VaultPort> port_;
};

INSTANTIATE_TEST_SUITE_P(Grpc, VaultPortContract, ::testing::Values(VaultPortFactory([] {
                           return std::make_unique<OverGrpc>();
                         })));

TEST(GrpcVault, CarriesABackupThereAndBack) {
  OverGrpc vault;
  BackupBench bench;
  FakeTree tree;
  for (int i = 0; i < 60; ++i)
    tree.Add(absl::StrCat("srv/", i), Noise(i, i % 3 == 0 ? 2000000 : 3000));
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result,
                       bench.Backup(tree, vault.port(), "web/20260101-000000"));
  EXPECT_TRUE(result.read_back_ok()) << result.read_back_error();
  ASSERT_OK_AND_ASSIGN(const auto reader, bench.Open(vault.port(), "web/20260101-000000"));
  FakeTarget target;
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(Difference(tree, target), "");
}

TEST(GrpcVault, AnErrorInTheMiddleOfAnUploadKeepsItsCode) {
  OverGrpc vault;
  vault.service.break_upload_after = 5;
  BackupBench bench;
  FakeTree tree;
  for (int i = 0; i < 60; ++i) tree.Add(absl::StrCat("srv/", i), Noise(i, 1000000));
  EXPECT_THAT(bench.Backup(tree, vault.port(), "web/20260101-000000"),
              HasCode(absl::StatusCode::kResourceExhausted));
}

TEST(GrpcVault, AReadGoesOnWhereItsConnectionBroke) {
  OverGrpc vault;
  BackupBench bench;
  FakeTree tree;
  for (int i = 0; i < 60; ++i) tree.Add(absl::StrCat("srv/", i), Noise(i, 1000000));
  ASSERT_OK(bench.Backup(tree, vault.port(), "web/20260101-000000"));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench.Open(vault.port(), "web/20260101-000000"));
  vault.service.reads_to_break = 3;
  FakeTarget target;
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(vault.service.reads_to_break, 0);
  EXPECT_EQ(Difference(tree, target), "");
  vault.service.reads_refused = 1;
  FakeTarget after_one;
  EXPECT_OK(reader->Restore({}, &after_one, nullptr));
  vault.service.reads_refused = 2;
  FakeTarget none;
  EXPECT_THAT(reader->Restore({}, &none, nullptr), HasCode(absl::StatusCode::kUnavailable))
      << "twice in vain is enough";
}

TEST(GrpcVault, AnUnknownVaultIsNotFound) {
  OverGrpc vault;
  const auto other = backup::OpenGrpcVault(
      grpc::CreateChannel(vault.address, grpc::InsecureChannelCredentials()), "another");
  EXPECT_THAT(other->OpenSession(v1::OpenSessionRequest()), HasCode(absl::StatusCode::kNotFound));
}

TEST(GrpcVault, AnAbsentServerIsUnavailable) {
  const auto port = backup::OpenGrpcVault(
      grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()), "main");
  EXPECT_THAT(port->OpenSession(v1::OpenSessionRequest()), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(port->GetBackup("web/1"), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(port->Read(v1::ReadRequest(), [](v1::ReadReply&&) { return absl::OkStatus(); }),
              HasCode(absl::StatusCode::kUnavailable));
}

TEST(GrpcVault, AServerThatGoesAwayEndsTheBackup) {
  OverGrpc vault;
  BackupBench bench;
  FakeTree tree;
  for (int i = 0; i < 60; ++i) tree.Add(absl::StrCat("srv/", i), Noise(i, 1000000));
  tree.at("srv/30").on_read = [&] {
    vault.server->Shutdown(gpr_time_from_seconds(0, GPR_TIMESPAN));
  };
  const auto result = bench.Backup(tree, vault.port(), "web/20260101-000000");
  EXPECT_FALSE(result.ok());
}

}  // namespace
}  // namespace ember::testing
