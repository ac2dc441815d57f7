#include "tests/contract/vault_port_contract.h"
#include "tests/support/memory_vault.h"

namespace ember::testing {
namespace {

class InMemory : public VaultUnderTest {
 public:
  backup::VaultPort* port() override { return &vault_; }

 private:
  MemoryVault vault_;
};

INSTANTIATE_TEST_SUITE_P(Memory, VaultPortContract, ::testing::Values(VaultPortFactory([] {
                           return std::make_unique<InMemory>();
                         })));

}  // namespace
}  // namespace ember::testing
