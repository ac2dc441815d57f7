#include "tests/support/served_vault.h"

#include "absl/strings/str_cat.h"
#include "common/rpc/channel.h"
#include "common/vault/vault_service.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "tests/support/grants.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

rpc::Identity Signed(const KeyAndCertificate& ca, absl::string_view name) {
  rpc::Identity identity;
  identity.key_pem = NewPrivateKeyPem();
  identity.ca_pem = ca.certificate_pem;
  identity.certificate_pem = *SignCsr(ca, *CreateCsr(identity.key_pem), "agent", name,
                                      SystemClock()->Now(), absl::Hours(1));
  return identity;
}

}  // namespace

ServedVault::ServedVault(bool parity) : ca_(*CreateCa("home", SystemClock()->Now())) {
  vault::VaultOptions vault;
  vault.name = "main";
  vault.directory = directory();
  vault.clock = SystemClock();
  vault.rules.parity = parity;
  vault_ = std::shared_ptr<vault::Vault>(vault::Vault::Open(vault).value());
  const rpc::Identity nas = Signed(ca_, "nas");
  service_ = vault::NewVaultService(
      [this](const std::string& name) {
        return name == "main" ? vault_ : std::shared_ptr<vault::Vault>();
      },
      [nas] { return nas; },
      [](const rpc::Peer&, absl::string_view, const absl::Status&) {});
  EXPECT_OK(rpc::SaveIdentity(dir_.Join("identity"), nas));
  rpc::ServerOptions server;
  server.listen = "127.0.0.1:0";
  server.identity_directory = dir_.Join("identity");
  server.clock = SystemClock();
  server_ = rpc::Server::Start(server, {service_.get()}).value();
  auto channel =
      rpc::Dial(absl::StrCat("127.0.0.1:", server_->port()), Signed(ca_, "host1"), "agent", "nas");
  port_ = std::make_unique<GrantedPort>(ca_, "host1", "main",
                                        backup::OpenGrpcVault(std::move(channel), "main"));
}

ServedVault::~ServedVault() { Stop(); }

void ServedVault::Stop() {
  port_.reset();
  if (server_ != nullptr) server_->Stop(absl::ZeroDuration());
  server_.reset();
  service_.reset();
  vault_.reset();
}

}  // namespace ember::testing
