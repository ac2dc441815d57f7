// The real vault on a directory of its own, served behind mutual TLS.
#ifndef EMBER_TESTS_SUPPORT_SERVED_VAULT_H_
#define EMBER_TESTS_SUPPORT_SERVED_VAULT_H_

#include <memory>
#include <string>

#include "common/backup/vault_port.h"
#include "common/crypto/certificate.h"
#include "common/rpc/server.h"
#include "common/vault/vault.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

class ServedVault {
 public:
  explicit ServedVault(bool parity = true);
  ~ServedVault();
  // As the agent of "host1" sees it; null once stopped.
  backup::VaultPort* port() { return port_.get(); }
  std::string directory() const { return dir_.Join("vault"); }
  // The directory stays.
  void Stop();

 private:
  TempDir dir_;
  const KeyAndCertificate ca_;
  std::shared_ptr<vault::Vault> vault_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<backup::VaultPort> port_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_SERVED_VAULT_H_
