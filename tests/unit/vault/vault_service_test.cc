// The vault over real gRPC with mutual TLS, as agents and the CLI see it.
#include "common/vault/vault_service.h"

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "common/rpc/signed.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpc/support/time.h"
#include "grpcpp/grpcpp.h"
#include "tests/support/eventually.h"
#include "tests/support/grants.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;

class VaultServiceTest : public VaultFixture {
 protected:
  void SetUp() override {
    VaultFixture::SetUp();
    ASSERT_OK_AND_ASSIGN(ca_, CreateCa("home", SystemClock()->Now()));
    const rpc::Identity nas1 = MakeIdentity("agent", "nas1");
    service_ = vault::NewVaultService(
        [this](const std::string& name) {
          return name == "nas" ? vault_ : std::shared_ptr<vault::Vault>();
        },
        [nas1] { return nas1; },
        [this](const rpc::Peer& peer, absl::string_view, const absl::Status&) {
          refused_.push_back(peer.name);
        });
    ASSERT_OK(rpc::SaveIdentity(identity_.Join("id"), nas1));
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity_directory = identity_.Join("id");
    options.clock = SystemClock();
    ASSERT_OK_AND_ASSIGN(server_, rpc::Server::Start(options, {service_.get()}));
    agent_ = Stub("agent", "host1");
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Stop(absl::ZeroDuration());
  }

  rpc::Identity MakeIdentity(absl::string_view role, absl::string_view name) {
    rpc::Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.certificate_pem = *SignCsr(ca_, *CreateCsr(identity.key_pem), role, name,
                                        SystemClock()->Now(), absl::Hours(1));
    identity.ca_pem = ca_.certificate_pem;
    return identity;
  }
  std::unique_ptr<v1::VaultService::Stub> Stub(absl::string_view role, absl::string_view name) {
    return v1::VaultService::NewStub(rpc::Dial(absl::StrCat("127.0.0.1:", server_->port()),
                                               MakeIdentity(role, name), "agent", "nas1"));
  }

  // Of host1, whose stub is `agent_`.
  v1::OpenSessionRequest RequestOf(const std::string& workload, int n,
                                   const std::string& vault = "nas") {
    v1::OpenSessionRequest request = SessionRequest(workload, n);
    request.set_domain_id(DomainOfNode("host1"));
    request.set_vault(vault);
    return Granted(ca_, "host1", request);
  }

  // A client context that fails rather than hangs.
  struct Context : grpc::ClientContext {
    Context() { set_deadline(gpr_time_from_seconds(20, GPR_TIMESPAN)); }
  };

  absl::StatusOr<ClientSession> OpenBy(v1::VaultService::Stub& stub,
                                       const v1::OpenSessionRequest& request) {
    Context context;
    ClientSession session{.request = request};
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(stub.OpenSession(&context, request, &session.reply)));
    return session;
  }
  absl::StatusOr<std::vector<v1::UploadReply>> Upload(
      v1::VaultService::Stub& stub, const std::vector<v1::UploadRequest>& requests) {
    Context context;
    auto stream = stub.Upload(&context);
    std::vector<v1::UploadReply> replies;
    for (const v1::UploadRequest& request : requests) {
      if (!stream->Write(request)) break;
      v1::UploadReply reply;
      if (!stream->Read(&reply)) break;
      replies.push_back(reply);
    }
    stream->WritesDone();
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(stream->Finish()));
    return replies;
  }
  // The ids go in messages of three.
  absl::StatusOr<v1::CommitReply> CommitBy(v1::VaultService::Stub& stub,
                                           const ClientSession& session,
                                           const std::vector<std::string>& ids) {
    Context context;
    v1::CommitReply reply;
    auto stream = stub.Commit(&context, &reply);
    v1::CommitRequest message;
    message.set_vault("nas");
    message.set_session_id(session.request.session_id());
    message.set_token(session.reply.token());
    *message.mutable_header() = HeaderOf(ids);
    stream->Write(message);
    for (size_t i = 0; i < ids.size(); i += 3) {
      v1::CommitRequest more;
      for (size_t k = i; k < std::min(ids.size(), i + 3); ++k) more.add_ids(ids[k]);
      stream->Write(more);
    }
    stream->WritesDone();
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(stream->Finish()));
    return reply;
  }

  TempDir identity_;
  KeyAndCertificate ca_;
  std::vector<std::string> refused_;  // of one call at a time
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::VaultService::Stub> agent_;
};

TEST_F(VaultServiceTest, CarriesABackupThereAndBack) {
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  auto last = UploadOf(session, 10, 10);
  last.set_flush(true);
  ASSERT_OK_AND_ASSIGN(const auto replies, Upload(*agent_, {UploadOf(session, 0, 10), last}));
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].received(), 10u);
  EXPECT_EQ(replies[0].durable(), 0u);
  EXPECT_EQ(replies[1].received(), 20u);
  EXPECT_EQ(replies[1].durable(), 20u);
  EXPECT_GT(replies[1].stored_bytes(), 0);
  v1::HaveRequest have;
  have.set_vault("nas");
  have.set_session_id(session.request.session_id());
  have.set_token(session.reply.token());
  have.add_ids(RecordId(1));
  have.add_ids(RecordId(20));
  Context have_context;
  v1::HaveReply absent;
  ASSERT_TRUE(agent_->Have(&have_context, have, &absent).ok());
  EXPECT_EQ(absent.absent(), std::string("\0\1", 2));
  ASSERT_OK_AND_ASSIGN(const auto reply, CommitBy(*agent_, session, SortedIds(0, 20)));
  EXPECT_EQ(reply.need_size(), 0);
  EXPECT_EQ(reply.sequence(), 1u);
  ASSERT_OK_AND_ASSIGN(
      const v1::Receipt receipt,
      rpc::OpenReceipt(ca_.certificate_pem, reply.receipt(), "nas1", SystemClock()->Now()));
  EXPECT_EQ(receipt.backup_id(), session.request.backup_id());
  EXPECT_EQ(receipt.domain_id(), DomainOfNode("host1"));
  EXPECT_EQ(receipt.workload(), "db");
  EXPECT_EQ(receipt.sequence(), reply.sequence());
  EXPECT_EQ(rpc::FromTimestamp(receipt.received()), rpc::FromTimestamp(reply.received()));

  const auto admin = Stub("admin", "alice");
  Context get_context;
  v1::GetStoredBackupRequest get;
  get.set_vault("nas");
  get.set_backup_id(session.request.backup_id());
  v1::StoredBackup backup;
  ASSERT_OK(rpc::FromGrpc(admin->GetBackup(&get_context, get, &backup)));
  EXPECT_EQ(backup.keyboxes_size(), 1);
  ASSERT_OK_AND_ASSIGN(
      const v1::Receipt again,
      rpc::OpenReceipt(ca_.certificate_pem, backup.receipt(), "nas1", SystemClock()->Now()));
  EXPECT_EQ(again.SerializeAsString(), receipt.SerializeAsString());
  Context read_context;
  v1::ReadRequest request;
  request.set_vault("nas");
  request.set_only_session(session.request.session_id());
  auto stream = agent_->Read(&read_context, request);
  v1::ReadReply chunk;
  int records = 0;
  while (stream->Read(&chunk)) records += chunk.records_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(records, 20);
}

TEST_F(VaultServiceTest, CommitNamesWhatIsMissing) {
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  ASSERT_OK(Upload(*agent_, {UploadOf(session, 0, 4)}));
  ASSERT_OK_AND_ASSIGN(const auto reply, CommitBy(*agent_, session, SortedIds(0, 6)));
  EXPECT_EQ(reply.need_size(), 2);
  EXPECT_FALSE(reply.has_receipt()) << "nothing was published";
}

TEST_F(VaultServiceTest, OnlyAgentsWrite) {
  const auto admin = Stub("admin", "alice");
  EXPECT_THAT(OpenBy(*admin, RequestOf("db", 1)), HasCode(StatusCode::kPermissionDenied));
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  EXPECT_THAT(Upload(*admin, {UploadOf(session, 0, 1)}), HasCode(StatusCode::kPermissionDenied));
  EXPECT_THAT(CommitBy(*admin, session, SortedIds(0, 1)), HasCode(StatusCode::kPermissionDenied));
}

TEST_F(VaultServiceTest, AnotherAgentCannotUseTheSession) {
  const auto other = Stub("agent", "host2");
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  EXPECT_THAT(Upload(*other, {UploadOf(session, 0, 1)}), HasCode(StatusCode::kPermissionDenied));
}

TEST_F(VaultServiceTest, AnAgentWritesToItsOwnDomainOnly) {
  const auto thief = Stub("agent", "host2");
  EXPECT_THAT(OpenBy(*thief, RequestOf("db", 1)),
              HasCodeAndText(StatusCode::kPermissionDenied, "node-host1"));
  EXPECT_THAT(refused_, ::testing::ElementsAre("host2"));
  EXPECT_FALSE(std::filesystem::exists(directory_.Join("keys/node-host1")));
  EXPECT_OK(OpenBy(*agent_, RequestOf("db", 1)));
}

TEST_F(VaultServiceTest, AnUnknownVaultIsNotFoundWithAHint) {
  const auto request = RequestOf("db", 1, "cloud");
  const auto opened = OpenBy(*agent_, request);
  EXPECT_THAT(opened, HasCodeAndText(StatusCode::kNotFound, "cloud"));
  EXPECT_NE(HintOf(opened.status()), "");
  Context context;
  v1::ListStoredBackupsReply reply;
  v1::ListStoredBackupsRequest list;
  list.set_vault("cloud");
  EXPECT_EQ(agent_->ListBackups(&context, list, &reply).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(VaultServiceTest, AStreamThatBreaksCommitsNothing) {
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  ASSERT_OK(Upload(*agent_, {UploadOf(session, 0, 6)}));
  {
    Context context;
    v1::CommitReply reply;
    auto stream = agent_->Commit(&context, &reply);
    v1::CommitRequest message;
    message.set_vault("nas");
    message.set_session_id(session.request.session_id());
    message.set_token(session.reply.token());
    *message.mutable_header() = HeaderOf(SortedIds(0, 6));
    for (const std::string& id : SortedIds(0, 6)) {
      if (message.ids_size() < 3) message.add_ids(id);
    }
    stream->Write(message);
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_EQ(vault_->Facts().backups(), 0);
  EXPECT_OK(CommitBy(*agent_, session, SortedIds(0, 6)));
}

// The next session need not send again what came before the sender died.
TEST_F(VaultServiceTest, WhatCameBeforeTheSenderDiedIsKept) {
  ASSERT_OK_AND_ASSIGN(const auto session, OpenBy(*agent_, RequestOf("db", 1)));
  {
    Context context;
    auto stream = agent_->Upload(&context);
    v1::UploadReply reply;
    ASSERT_TRUE(stream->Write(UploadOf(session, 0, 6)));
    ASSERT_TRUE(stream->Read(&reply));
    EXPECT_EQ(reply.durable(), 0u);
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  const auto stored = [&] {
    v1::HaveRequest have;
    have.set_vault("nas");
    have.set_session_id(session.request.session_id());
    have.set_token(session.reply.token());
    for (int n = 0; n < 6; ++n) have.add_ids(RecordId(n));
    Context context;
    v1::HaveReply reply;
    return agent_->Have(&context, have, &reply).ok() && reply.absent() == std::string(6, '\0');
  };
  EXPECT_TRUE(Eventually(stored));
}

TEST_F(VaultServiceTest, OneStreamServesOneSession) {
  ASSERT_OK_AND_ASSIGN(const auto first, OpenBy(*agent_, RequestOf("db", 1)));
  ASSERT_OK_AND_ASSIGN(const auto second, OpenBy(*agent_, RequestOf("web", 1)));
  EXPECT_THAT(
      Upload(*agent_, {UploadOf(first, 0, 1), UploadOf(second, 1, 1), UploadOf(first, 2, 1)}),
      HasCode(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace ember::testing
