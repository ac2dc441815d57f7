#include "common/rpc/channel.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/grpc_setup.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace ember::rpc {
namespace {

grpc::ChannelArguments Arguments(absl::string_view tls_name) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(std::string(tls_name));
  arguments.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
  arguments.SetMaxSendMessageSize(kGrpcMessageBytesMax);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMillisMin);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMillisMax);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   kConnectMillis);  // gRPC's name for the time one attempt has
  // Two identities that dial one address must never share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Peers are on the estate's own network: neither a proxy nor settings from DNS have a say.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  return arguments;
}

// Null, which gives a channel whose every call fails, without a CA: gRPC would trust the system's
// CAs instead.
std::shared_ptr<grpc::ChannelCredentials> Credentials(const Identity& identity) {
  if (identity.ca_pem.empty()) return nullptr;
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = identity.ca_pem;
  if (!identity.certificate_pem.empty()) {
    options.pem_private_key = identity.key_pem;
    options.pem_cert_chain = identity.certificate_pem;
  }
  return grpc::SslCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> Dial(absl::string_view address, const Identity& identity,
                                    absl::string_view role, absl::string_view name) {
  SetUpGrpc();
  return grpc::CreateCustomChannel(absl::StrCat("dns:///", address), Credentials(identity),
                                   Arguments(TlsName(role, name)));
}

}  // namespace ember::rpc
