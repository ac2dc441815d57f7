#include "common/rpc/grpc_setup.h"

#include <cstdlib>
#include <string>

#include "absl/base/call_once.h"
#include "common/base/log.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"
#include "grpc/support/log.h"

namespace ember::rpc {
namespace {

// gRPC 1.51 has no setting for the least TLS version, but reads the TLS 1.2 cipher suites from this
// variable; TLS 1.3 has its own list. A suite that needs a pre-shared key, which nobody has, leaves
// TLS 1.2 nothing to agree on.
constexpr char kVariable[] = "GRPC_SSL_CIPHER_SUITES";
constexpr char kNoTls12[] = "PSK-AES256-GCM-SHA384";

void ToOurLog(gpr_log_func_args* args) {
  // What gRPC calls an error is mostly a peer that went away; what matters reaches us as a status
  // too.
  const LogLevel level =
      args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug;
  Log(level, "grpc", args->message);
}

// gRPC reads the variable once, when it makes its first TLS configuration. Here that is one with an
// impossible certificate, so that nothing comes of it and no port is opened.
void MakeFirstTlsConfiguration() {
  grpc_init();
  grpc_server* const server = grpc_server_create(nullptr, nullptr);
  grpc_ssl_pem_key_cert_pair none = {"none", "none"};
  grpc_server_credentials* const credentials = grpc_ssl_server_credentials_create_ex(
      nullptr, &none, 1, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, nullptr);
  grpc_server_add_http2_port(server, "127.0.0.1:0", credentials);
  grpc_server_credentials_release(credentials);
  grpc_server_destroy(server);
  grpc_shutdown();
}

// The variable is put back: children of this process may use gRPC as well, with other peers.
void RequireTls13() {
  const char* set = getenv(kVariable);
  const std::string before = set == nullptr ? "" : set;
  setenv(kVariable, kNoTls12, 1);
  MakeFirstTlsConfiguration();
  if (set == nullptr) {
    unsetenv(kVariable);
  } else {
    setenv(kVariable, before.c_str(), 1);
  }
}

}  // namespace

void SetUpGrpc() {
  static absl::once_flag once;
  absl::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args*) {});  // the failure that is meant
    RequireTls13();
    gpr_set_log_function(ToOurLog);
  });
}

}  // namespace ember::rpc
