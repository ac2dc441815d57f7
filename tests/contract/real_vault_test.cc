// The vault as it runs, on disk and behind mutual TLS, through the contract that the fake passes.
#include "tests/contract/vault_port_contract.h"
#include "tests/support/served_vault.h"

namespace ember::testing {
namespace {

class RealVault : public VaultUnderTest {
 public:
  backup::VaultPort* port() override { return vault_.port(); }

 private:
  ServedVault vault_;
};

INSTANTIATE_TEST_SUITE_P(Real, VaultPortContract, ::testing::Values(VaultPortFactory([] {
                           return std::make_unique<RealVault>();
                         })));

}  // namespace
}  // namespace ember::testing
