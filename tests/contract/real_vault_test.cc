// The vault as it runs, on disk and behind mutual TLS, through the contract that the fake passes.
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/vault/vault.h"
#include "common/vault/vault_service.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "tests/contract/vault_port_contract.h"
#include "tests/support/temp_dir.h"

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

class RealVault : public VaultUnderTest {
 public:
  RealVault() : ca_(*CreateCa("home", SystemClock()->Now())) {
    vault::VaultOptions vault;
    vault.name = "main";
    vault.directory = dir_.Join("vault");
    vault.clock = SystemClock();
    vault_ = std::shared_ptr<vault::Vault>(vault::Vault::Open(vault).value());
    service_ = vault::NewVaultService([this](const std::string& name) {
      return name == "main" ? vault_ : std::shared_ptr<vault::Vault>();
    });
    EXPECT_OK(rpc::SaveIdentity(dir_.Join("identity"), Signed(ca_, "nas")));
    rpc::ServerOptions server;
    server.listen = "127.0.0.1:0";
    server.identity_directory = dir_.Join("identity");
    server.clock = SystemClock();
    server_ = rpc::Server::Start(server, {service_.get()}).value();
    port_ = backup::OpenGrpcVault(rpc::Dial(absl::StrCat("127.0.0.1:", server_->port()),
                                            Signed(ca_, "host1"), "agent", "nas"),
                                  "main");
  }
  ~RealVault() override {
    port_.reset();
    server_->Stop(absl::ZeroDuration());
  }
  backup::VaultPort* port() override { return port_.get(); }

 private:
  TempDir dir_;
  const KeyAndCertificate ca_;
  std::shared_ptr<vault::Vault> vault_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<backup::VaultPort> port_;
};

INSTANTIATE_TEST_SUITE_P(Real, VaultPortContract, ::testing::Values(VaultPortFactory([] {
                           return std::make_unique<RealVault>();
                         })));

}  // namespace
}  // namespace ember::testing
