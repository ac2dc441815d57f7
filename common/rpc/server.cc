#include "common/rpc/server.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/gate.h"
#include "common/rpc/grpc_setup.h"
#include "common/rpc/server_credentials.h"
#include "grpc/support/time.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"

namespace ember::rpc {
namespace {

// gRPC's pollers are counted as threads too.
constexpr int kThreadsMin = 4;
constexpr int kPollersMax = 2;

class GrpcServer : public Server {
 public:
  GrpcServer(std::unique_ptr<grpc::Server> server, int port)
      : server_(std::move(server)), port_(port) {}
  ~GrpcServer() override { Stop(absl::ZeroDuration()); }
  int port() const override { return port_; }
  void Stop(absl::Duration grace) override {
    server_->Shutdown(gpr_time_from_millis(absl::ToInt64Milliseconds(grace), GPR_TIMESPAN));
    server_->Wait();
  }

 private:
  const std::unique_ptr<grpc::Server> server_;
  const int port_;
};

void Configure(grpc::ServerBuilder& builder, int threads_max) {
  builder.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
  builder.SetMaxSendMessageSize(kGrpcMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  // Two servers on one port must be an error, not a lottery.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kServerKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingMillisMin);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, kPollersMax);
  grpc::ResourceQuota quota("ember");
  quota.SetMaxThreads(std::max(threads_max, kThreadsMin));
  builder.SetResourceQuota(quota);
}

// gRPC does not say why it cannot listen; trying it ourselves does.
absl::Status WhyNot(const std::string& listen) {
  const absl::Status unknown = absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat(unknown.message(), ": not HOST:PORT"));
  absl::string_view host = absl::string_view(listen).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string host_text(host);
  const int error = getaddrinfo(host.empty() ? nullptr : host_text.c_str(),
                                listen.c_str() + colon + 1, &hints, &found);
  if (error != 0)
    return absl::InvalidArgumentError(absl::StrCat(unknown.message(), ": ", gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> targets(found, freeaddrinfo);
  const Fd fd(socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, found->ai_protocol));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0) return unknown;
  return WithHint(absl::UnavailableError(absl::StrCat(unknown.message(), ": ", strerror(errno))),
                  "stop what uses that port, or choose another one");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  SetUpGrpc();
  auto gate = std::make_unique<Gate>(Gate::Options{options.clock, options.admit, options.refused});
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials =
      MakeServerCredentials(options.identity_directory, std::move(gate));
  if (!credentials.ok()) return Annotate(credentials.status(), "cannot serve");
  int port = 0;
  grpc::ServerBuilder builder;
  Configure(builder, options.threads_max);
  builder.AddListeningPort(options.listen, *credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port <= 0) return WhyNot(options.listen);
  return std::make_unique<GrpcServer>(std::move(server), port);
}

Peer CallerOf(const grpc::ServerContextBase& context) {
  Peer peer;
  const std::vector<grpc::string_ref> shown =
      context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (!shown.empty()) {
    const absl::string_view pem(shown[0].data(), shown[0].size());
    std::optional<CertificateInfo> info = ProcessCertificates().Find(pem);
    if (!info) {  // forgotten since the gate let it pass
      absl::StatusOr<CertificateInfo> parsed = ParseCertificate(pem);
      if (parsed.ok()) info = *parsed;
    }
    if (info) peer = ToPeer(*info);
  }
  peer.address = context.peer();
  return peer;
}

}  // namespace ember::rpc
