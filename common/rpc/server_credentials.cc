// gRPC's C++ server credentials neither reload certificates nor say whether a processor blocks a
// thread, so this goes to its C interface, which does both.
#include "common/rpc/server_credentials.h"

#include <sys/stat.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"

namespace ember::rpc {
namespace {

// Changes whenever a file of the identity is replaced.
std::string VersionOf(const std::string& directory) {
  std::string version;
  for (const absl::string_view name : {"cert.pem", "key.pem", "key.next.pem", "ca.pem"}) {
    struct stat info;
    if (stat(JoinPath(directory, name).c_str(), &info) != 0) {
      absl::StrAppend(&version, "absent;");
      continue;
    }
    absl::StrAppend(&version, info.st_ino, ",", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, ",",
                    info.st_size, ";");
  }
  return version;
}

// The server's identity as it is on disk. Safe for concurrent use.
class WatchedIdentity {
 public:
  WatchedIdentity(std::string directory, std::string version, Identity identity)
      : directory_(std::move(directory)),
        version_(std::move(version)),
        identity_(std::move(identity)) {}

  // True when it changed since the last call that returned true, or was never taken.
  bool TakeNew(Identity& identity) {
    absl::MutexLock lock(&mu_);
    // The version is read first: a change while loading shows at the next handshake.
    if (const std::string version = VersionOf(directory_); version != version_) Reload(version);
    if (taken_) return false;
    taken_ = true;
    identity = identity_;
    return true;
  }
  std::string ca_pem() const {
    absl::MutexLock lock(&mu_);
    return identity_.ca_pem;
  }

 private:
  void Reload(const std::string& version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    version_ = version;
    absl::StatusOr<Identity> loaded = LoadIdentity(directory_);
    if (!loaded.ok()) {
      LogWarning("rpc", "the changed identity cannot be used; the one before stays",
                 {{"directory", directory_}, {"why", loaded.status().message()}});
      return;
    }
    identity_ = *std::move(loaded);
    taken_ = false;
    LogInfo("rpc", "identity reloaded", {{"directory", directory_}});
  }

  const std::string directory_;
  mutable absl::Mutex mu_;
  std::string version_ ABSL_GUARDED_BY(mu_);
  Identity identity_ ABSL_GUARDED_BY(mu_);
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
};

// What gRPC calls back into; lives as long as its credentials do.
struct State {
  State(std::string directory, std::string version, Identity identity,
        std::unique_ptr<Gate> the_gate)
      : identity(std::move(directory), std::move(version), std::move(identity)),
        gate(std::move(the_gate)) {}
  WatchedIdentity identity;
  const std::unique_ptr<Gate> gate;
};

// Called by gRPC before every handshake.
grpc_ssl_certificate_config_reload_status FetchIdentity(
    void* state, grpc_ssl_server_certificate_config** config) {
  Identity identity;
  if (!static_cast<State*>(state)->identity.TakeNew(identity))
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  // The CA goes along for a joining agent, which knows only its fingerprint.
  const std::string chain = absl::StrCat(identity.certificate_pem, "\n", identity.ca_pem);
  const grpc_ssl_pem_key_cert_pair pair = {identity.key_pem.c_str(), chain.c_str()};
  *config = grpc_ssl_server_certificate_config_create(identity.ca_pem.c_str(), &pair, 1);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

absl::string_view PathOf(const grpc_metadata* metadata, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto text = [](const grpc_slice& slice) {
      return absl::string_view(reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)),
                               GRPC_SLICE_LENGTH(slice));
    };
    if (text(metadata[i].key) == ":path") return text(metadata[i].value);
  }
  return absl::string_view();  // has no row
}

absl::string_view CertificateOf(const grpc_auth_context* context) {
  grpc_auth_property_iterator found =
      grpc_auth_context_find_properties_by_name(context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  const grpc_auth_property* property = grpc_auth_property_iterator_next(&found);
  return property == nullptr ? absl::string_view()
                             : absl::string_view(property->value, property->value_length);
}

// Called by gRPC for every call, on any method, before anything of it reaches a handler.
void ProcessCall(void* state, grpc_auth_context* context, const grpc_metadata* metadata,
                 size_t count, grpc_process_auth_metadata_done_cb done, void* user_data) {
  const State& self = *static_cast<State*>(state);
  const absl::Status verdict =
      self.gate->Check(PathOf(metadata, count), CertificateOf(context), self.identity.ca_pem());
  done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(verdict.code()),
       verdict.ok() ? nullptr : std::string(verdict.message()).c_str());
}

class Credentials : public grpc::ServerCredentials {
 public:
  explicit Credentials(std::unique_ptr<State> state)
      : credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                // The handshake proves possession of the key; the gate checks the certificate
                // itself.
                GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY, FetchIdentity, state.get()))) {
    grpc_auth_metadata_processor processor;
    processor.process = ProcessCall;
    processor.destroy = [](void* owned) { delete static_cast<State*>(owned); };
    processor.state = state.release();
    grpc_server_credentials_set_auth_metadata_processor(credentials_, processor);
  }
  ~Credentials() override { grpc_server_credentials_release(credentials_); }

  // The gate is the processor, and stays it.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* const credentials_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const std::string& directory, std::unique_ptr<Gate> gate) {
  std::string version = VersionOf(directory);
  EMBER_ASSIGN_OR_RETURN(Identity identity, LoadIdentity(directory));
  return std::make_shared<Credentials>(
      std::make_unique<State>(directory, std::move(version), std::move(identity), std::move(gate)));
}

}  // namespace ember::rpc
