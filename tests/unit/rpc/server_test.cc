#include "common/rpc/server.h"

#include <cstdlib>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "grpcpp/security/auth_context.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace ember::rpc {
namespace {

using testing::HasCode;
using testing::HasCodeAndText;

class ServerTest : public RpcFixture {
 protected:
  void SetUp() override { StartServer(); }

  // The serial of the certificate that the server showed on this channel.
  std::string ServerSerial(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::JoinReply reply;
    EXPECT_OK(FromGrpc(v1::EnrolService::NewStub(channel)->Join(&context, {}, &reply)));
    const auto shown = context.auth_context()->FindPropertyValues("x509_pem_cert");
    if (shown.empty()) return "";
    return ParseCertificate(absl::string_view(shown[0].data(), shown[0].size()))->serial;
  }
};

TEST_F(ServerTest, RenewedCertificateIsShownToNewConnectionsAndOldOnesGoOn) {
  const auto before = Channel(Anonymous());
  const std::string first = ServerSerial(before);
  const Identity renewed = MakeIdentity("controller", "em");
  ASSERT_OK(SaveIdentity(options_.identity_directory, renewed));
  EXPECT_EQ(ServerSerial(Channel(Anonymous())), ParseCertificate(renewed.certificate_pem)->serial);
  EXPECT_EQ(ServerSerial(before), first);
  const Identity again = MakeIdentity("controller", "em");
  ASSERT_OK(SaveIdentity(options_.identity_directory, again));
  EXPECT_EQ(ServerSerial(Channel(Anonymous())), ParseCertificate(again.certificate_pem)->serial);
}

TEST_F(ServerTest, UnusableNewCertificateLeavesTheOldOneInUse) {
  const std::string first = ServerSerial(Channel(Anonymous()));
  ASSERT_OK(WriteFileAtomic(JoinPath(options_.identity_directory, "cert.pem"), "half a certif"));
  EXPECT_EQ(ServerSerial(Channel(Anonymous())), first);
  const Identity renewed = MakeIdentity("controller", "em");
  ASSERT_OK(SaveIdentity(options_.identity_directory, renewed));
  EXPECT_EQ(ServerSerial(Channel(Anonymous())), ParseCertificate(renewed.certificate_pem)->serial);
}

TEST_F(ServerTest, ClientAcceptsOnlyTheRoleAndNameItDials) {
  const Identity nas1 = MakeIdentity("agent", "nas1");
  EXPECT_OK(HasLease(Dial(address(), nas1, "controller", "em")));
  EXPECT_THAT(HasLease(Dial(address(), nas1, "controller", "em2")),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(HasLease(Dial(address(), nas1, "agent", "em")),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_EQ(services_.calls(), 1);
}

TEST_F(ServerTest, ClientRefusesAServerOfAnotherEstate) {
  Identity stranger = MakeIdentity("agent", "nas1");
  stranger.ca_pem = CreateCa("home", clock_.Now()).value().certificate_pem;
  EXPECT_THAT(HasLease(Channel(stranger)), HasCode(absl::StatusCode::kUnavailable));
}

TEST_F(ServerTest, ClientWithoutACaTrustsNobody) {
  EXPECT_FALSE(Join(Channel(Identity())).ok());
  EXPECT_EQ(services_.calls(), 0);
}

TEST_F(ServerTest, TwoIdentitiesOfOneProcessNeverShareAConnection) {
  const auto agent = Channel(MakeIdentity("agent", "nas1"));
  const auto other = Channel(MakeIdentity("agent", "nas2"));
  EXPECT_OK(HasLease(agent));
  const std::string first = services_.last().address;
  EXPECT_OK(HasLease(other));
  EXPECT_EQ(services_.last().name, "nas2");
  EXPECT_NE(services_.last().address, first);
}

TEST_F(ServerTest, ErrorsTravelWithTheirHintHoweverLong) {
  const auto admin = Channel(MakeIdentity("admin", "root"));
  services_.apply_says = WithHint(absl::NotFoundError("no thing: never made"), "make it");
  const absl::Status status = Apply(admin);
  EXPECT_THAT(status, HasCodeAndText(absl::StatusCode::kNotFound, "no thing: never made"));
  EXPECT_EQ(HintOf(status), "make it");
  services_.apply_says = absl::InvalidArgumentError(std::string(1 << 20, '\xe4'));
  EXPECT_THAT(Apply(admin), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ServerTest, MessagesUpToTheBoundPass) {
  const auto agent = Channel(MakeIdentity("agent", "nas1"));
  grpc::ClientContext context;
  SetDeadline(context);
  auto stream = v1::VaultService::NewStub(agent)->Upload(&context);
  v1::UploadRequest request;
  request.add_records()->set_payload(std::string(kGrpcMessageBytesMax - 1024, 'x'));
  ASSERT_TRUE(stream->Write(request));
  v1::UploadReply reply;
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.stored_bytes(), static_cast<int64_t>(kGrpcMessageBytesMax - 1024));
  stream->WritesDone();
  EXPECT_OK(FromGrpc(stream->Finish()));
  EXPECT_THAT(
      Apply(Channel(MakeIdentity("admin", "root")), std::string(kGrpcMessageBytesMax + 1, 'x')),
      HasCode(absl::StatusCode::kResourceExhausted));
}

TEST_F(ServerTest, TakenPortIsAClearError) {
  options_.listen = address();
  EXPECT_THAT(Server::Start(options_, {&services_.peers}),
              HasCodeAndText(absl::StatusCode::kUnavailable, "Address already in use"));
  EXPECT_OK(HasLease(Channel(MakeIdentity("agent", "nas1"))));
}

TEST_F(ServerTest, BadAddressAndMissingIdentityAreClearErrors) {
  options_.listen = "nonsense";
  EXPECT_THAT(Server::Start(options_, {}), HasCode(absl::StatusCode::kInvalidArgument));
  options_.listen = "127.0.0.1:0";
  options_.identity_directory = dir_.Join("absent");
  EXPECT_THAT(Server::Start(options_, {}), HasCodeAndText(absl::StatusCode::kNotFound, "absent"));
}

TEST_F(ServerTest, StopLetsRunningCallsFinishWithinTheGraceAndIsIdempotent) {
  absl::Notification release;
  services_.hold = &release;
  const auto agent = Channel(MakeIdentity("agent", "nas1"));
  absl::Status result;
  std::thread caller([&] { result = HasLease(agent); });
  while (services_.running == 0) std::this_thread::yield();
  std::thread stopper([&] { server_->Stop(absl::Seconds(20)); });
  release.Notify();
  stopper.join();
  caller.join();
  EXPECT_OK(result);
  server_->Stop(absl::ZeroDuration());
  EXPECT_THAT(HasLease(agent), HasCode(absl::StatusCode::kUnavailable));
}

TEST_F(ServerTest, PortIsFreeAgainAfterAStop) {
  const auto agent = Channel(MakeIdentity("agent", "nas1"));
  EXPECT_OK(HasLease(agent));
  options_.listen = address();
  server_ = nullptr;
  ASSERT_OK_AND_ASSIGN(server_, Server::Start(options_, served_));
  // The old channel may not know yet that its connection is gone.
  EXPECT_OK(HasLease(Channel(MakeIdentity("agent", "nas1"))));
}

class ServerThreads : public RpcFixture {};

TEST_F(ServerThreads, AreBounded) {
  options_.threads_max = 6;
  absl::Notification release;
  services_.hold = &release;
  StartServer();
  const auto agent = Channel(MakeIdentity("agent", "nas1"));
  std::atomic<int> refused{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 24; ++i) {
    callers.emplace_back(
        [&] { refused += HasLease(agent).code() == absl::StatusCode::kResourceExhausted; });
  }
  while (refused + services_.running < 24) std::this_thread::yield();
  EXPECT_LE(services_.running_max, 6);
  EXPECT_GE(services_.running_max, 1);
  release.Notify();
  for (std::thread& caller : callers) caller.join();
  EXPECT_OK(HasLease(agent));
}

}  // namespace
}  // namespace ember::rpc
