// The controller's part in tests of a vault behind its service: grants for whatever is asked.
#ifndef EMBER_TESTS_SUPPORT_GRANTS_H_
#define EMBER_TESTS_SUPPORT_GRANTS_H_

#include <memory>
#include <string>
#include <utility>

#include "common/crypto/certificate.h"
#include "common/rpc/signed.h"
#include "tests/support/forwarding_port.h"

namespace ember::testing {

// `request`, granted to `node`.
inline v1::OpenSessionRequest Granted(const KeyAndCertificate& ca, const std::string& node,
                                      v1::OpenSessionRequest request) {
  v1::Grant grant;
  grant.set_node(node);
  grant.set_workload(request.workload());
  grant.set_epoch(request.epoch());
  grant.set_vault(request.vault());
  grant.set_backup_id(request.backup_id());
  *request.mutable_grant() = rpc::SignGrant(ca.key_pem, grant).value();
  return request;
}

// A port whose sessions are granted to `node`.
class GrantedPort : public ForwardingPort {
 public:
  GrantedPort(KeyAndCertificate ca, std::string node, std::string vault,
              std::unique_ptr<backup::VaultPort> port)
      : ForwardingPort(*port),
        ca_(std::move(ca)),
        node_(std::move(node)),
        vault_(std::move(vault)),
        port_(std::move(port)) {}
  absl::StatusOr<std::unique_ptr<backup::VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override {
    request.set_vault(vault_);
    return ForwardingPort::OpenSession(Granted(ca_, node_, std::move(request)));
  }

 private:
  const KeyAndCertificate ca_;
  const std::string node_;
  const std::string vault_;
  const std::unique_ptr<backup::VaultPort> port_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_GRANTS_H_
