// Who gets through to a server, over real connections.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/rpc/convert.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/impl/codegen/method_handler.h"
#include "grpcpp/impl/codegen/rpc_service_method.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace ember::rpc {
namespace {

using testing::HasCode;
using testing::HasCodeAndText;
constexpr absl::StatusCode kDenied = absl::StatusCode::kPermissionDenied;

class ServerGate : public RpcFixture {
 protected:
  void SetUp() override { StartServer(); }
};

TEST_F(ServerGate, AgentGetsThroughAndTheHandlerKnowsItsName) {
  const Identity nas1 = MakeIdentity("agent", "nas1");
  EXPECT_OK(HasLease(Channel(nas1)));
  const Peer caller = services_.last();
  EXPECT_EQ(caller.role, v1::Role::AGENT);
  EXPECT_EQ(caller.name, "nas1");
  EXPECT_EQ(caller.serial, ParseCertificate(nas1.certificate_pem)->serial);
  EXPECT_TRUE(absl::StartsWith(caller.address, "ipv4:127.0.0.1:")) << caller.address;
  EXPECT_TRUE(refusals().empty());
}

TEST_F(ServerGate, WithoutCertificateOnlyJoinIsReached) {
  const auto channel = Channel(Anonymous());
  EXPECT_OK(Join(channel));
  EXPECT_EQ(services_.last().role, v1::Role::NONE);
  EXPECT_EQ(services_.last().name, "");
  EXPECT_THAT(HasLease(channel),
              HasCodeAndText(absl::StatusCode::kUnauthenticated, "no certificate was shown"));
  EXPECT_THAT(GetStatus(channel), HasCode(absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(services_.calls(), 1);
  ASSERT_EQ(refusals().size(), 2u);
  EXPECT_EQ(refusals()[0].method, "/ember.v1.PeerService/HasLease");
  EXPECT_EQ(refusals()[0].peer.role, v1::Role::NONE);
}

TEST_F(ServerGate, WrongRoleIsRefusedAndNamed) {
  const auto viewer = Channel(MakeIdentity("viewer", "mia"));
  EXPECT_OK(GetStatus(viewer));
  EXPECT_THAT(Apply(viewer), HasCodeAndText(kDenied, "viewer 'mia'"));
  EXPECT_THAT(HasLease(viewer), HasCode(kDenied));
  EXPECT_THAT(GetStatus(Channel(MakeIdentity("agent", "nas1"))), HasCode(kDenied));
  EXPECT_EQ(services_.calls(), 1);
  ASSERT_EQ(refusals().size(), 3u);
  EXPECT_EQ(refusals()[0].peer.name, "mia");
  EXPECT_EQ(refusals()[0].peer.role, v1::Role::VIEWER);
}

TEST_F(ServerGate, StreamsAreGatedToo) {
  for (const bool agent : {false, true}) {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto channel = Channel(MakeIdentity(agent ? "agent" : "admin", "x"));
    auto stream = v1::VaultService::NewStub(channel)->Upload(&context);
    stream->WritesDone();
    EXPECT_THAT(FromGrpc(stream->Finish()), HasCode(agent ? absl::StatusCode::kOk : kDenied));
  }
  EXPECT_EQ(services_.calls(), 1);
}

TEST_F(ServerGate, CertificateOfAnotherEstateIsRefusedEvenForJoin) {
  const KeyAndCertificate other = CreateCa("home", clock_.Now()).value();
  Identity eve = MakeIdentity("agent", "nas1");
  eve.certificate_pem =
      SignCsr(other, CreateCsr(eve.key_pem).value(), "agent", "nas1", clock_.Now(), absl::Hours(1))
          .value();
  const auto channel = Channel(eve);  // trusts our server, shows a stranger's certificate
  EXPECT_THAT(HasLease(channel), HasCodeAndText(kDenied, "not from this estate's CA"));
  EXPECT_THAT(Join(channel), HasCode(kDenied));
  EXPECT_EQ(services_.calls(), 0);
  ASSERT_EQ(refusals().size(), 2u);
  EXPECT_EQ(refusals()[0].peer.role, v1::Role::NONE)
      << "a claimed role must not look like a proven one";
}

TEST_F(ServerGate, ExpiredCertificateIsRefused) {
  testing::FakeClock then;
  then.JumpWall(clock_.Now() - absl::Hours(24 * 100) - then.Now());
  Identity old = MakeIdentity("agent", "nas1");
  old.certificate_pem = SignCsr(ca_, CreateCsr(old.key_pem).value(), "agent", "nas1", then.Now(),
                                absl::Hours(24 * 90))
                            .value();
  EXPECT_THAT(HasLease(Channel(old)), HasCodeAndText(kDenied, "expired at"));
  ASSERT_EQ(refusals().size(), 1u);
  EXPECT_EQ(refusals()[0].peer.name, "nas1");
}

TEST_F(ServerGate, CertificateThatExpiresDuringAConnectionIsRefusedFromThenOn) {
  const auto channel = Channel(MakeIdentity("agent", "nas1", absl::Hours(1)));
  EXPECT_OK(HasLease(channel));
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(HasLease(channel), HasCodeAndText(kDenied, "expired at"));
}

TEST_F(ServerGate, ADaySlowClockIsToleratedAndTwoAreNot) {
  const auto channel = Channel(MakeIdentity("agent", "nas1"));
  clock_.JumpWall(-absl::Hours(24));
  EXPECT_OK(HasLease(channel));
  clock_.JumpWall(-absl::Hours(24));
  EXPECT_THAT(HasLease(channel), HasCodeAndText(kDenied, "not yet valid"));
}

TEST_F(ServerGate, RevokedCertificateIsRefusedOnARunningConnection) {
  const Identity nas1 = MakeIdentity("agent", "nas1");
  const auto channel = Channel(nas1);
  EXPECT_OK(HasLease(channel));
  Revoke(ParseCertificate(nas1.certificate_pem)->serial);
  EXPECT_THAT(HasLease(channel), HasCodeAndText(kDenied, "revoked"));
  EXPECT_THAT(Join(channel), HasCode(kDenied));
  EXPECT_OK(HasLease(Channel(MakeIdentity("agent", "nas1"))))
      << "its new certificate is another one";
}

// The certificate is public; only who has its key may use it. The forged key file has the public
// part of the victim (so that TLS libraries accept the pair) and another private part: bytes 36 to
// 67 of a P-256 key in PKCS#8.
TEST_F(ServerGate, CertificateWithoutItsPrivateKeyIsUseless) {
  const auto der_of = [](const std::string& pem) {
    const std::string body = absl::StrReplaceAll(
        pem, {{"-----BEGIN PRIVATE KEY-----", ""}, {"-----END PRIVATE KEY-----", ""}, {"\n", ""}});
    std::string der;
    EXPECT_TRUE(absl::Base64Unescape(body, &der));
    return der;
  };
  Identity thief = MakeIdentity("admin", "root");
  std::string forged = der_of(thief.key_pem);
  ASSERT_EQ(forged.size(), 138u);
  forged.replace(36, 32, der_of(NewPrivateKeyPem()), 36, 32);
  thief.key_pem = absl::StrCat("-----BEGIN PRIVATE KEY-----\n", absl::Base64Escape(forged),
                               "\n-----END PRIVATE KEY-----\n");
  EXPECT_OK(CheckKeyMatches(thief.certificate_pem, thief.key_pem))
      << "the forgery must look right to the client";
  EXPECT_THAT(GetStatus(Channel(thief)), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(services_.calls(), 0);
}

// A handler that somebody forgot to give a row.
class Forgotten : public grpc::Service {
 public:
  static constexpr char kMethod[] = "/ember.v1.ForgottenService/Open";
  Forgotten() {
    using Handler =
        grpc::internal::RpcMethodHandler<Forgotten, v1::HasLeaseRequest, v1::HasLeaseReply,
                                         grpc::protobuf::MessageLite, grpc::protobuf::MessageLite>;
    AddMethod(new grpc::internal::RpcServiceMethod(
        kMethod, grpc::internal::RpcMethod::NORMAL_RPC,
        new Handler(
            [](Forgotten* self, grpc::ServerContext*, const v1::HasLeaseRequest*,
               v1::HasLeaseReply*) {
              self->called = true;
              return grpc::Status::OK;
            },
            this)));
  }
  std::atomic<bool> called{false};
};

absl::Status CallByName(const std::shared_ptr<grpc::Channel>& channel, const char* method) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::HasLeaseReply reply;
  return FromGrpc(grpc::internal::BlockingUnaryCall<v1::HasLeaseRequest, v1::HasLeaseReply>(
      channel.get(),
      grpc::internal::RpcMethod(method, grpc::internal::RpcMethod::NORMAL_RPC, channel), &context,
      {}, &reply));
}

class ServerGateOfForgotten : public RpcFixture {};

TEST_F(ServerGateOfForgotten, MethodWithoutARowIsReachedByNobody) {
  Forgotten forgotten;
  served_.push_back(&forgotten);
  StartServer();
  for (const char* role : {"admin", "operator", "viewer", "agent", "controller"}) {
    const auto channel = Channel(MakeIdentity(role, "x"));
    EXPECT_THAT(CallByName(channel, Forgotten::kMethod), HasCodeAndText(kDenied, "not a method"))
        << role;
    EXPECT_THAT(CallByName(channel, "/ember.v1.NoService/Nothing"), HasCode(kDenied)) << role;
    EXPECT_THAT(CallByName(channel, "/ember.v1.EnrolService/Join/"), HasCode(kDenied)) << role;
  }
  EXPECT_THAT(CallByName(Channel(Anonymous()), Forgotten::kMethod),
              HasCode(absl::StatusCode::kUnauthenticated));
  EXPECT_FALSE(forgotten.called);
  EXPECT_EQ(refusals().size(), 16u);
  server_ = nullptr;
}

}  // namespace
}  // namespace ember::rpc
