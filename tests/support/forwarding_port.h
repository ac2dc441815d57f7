// A port that hands every call on to another one: to be changed in one place, or owned in two.
#ifndef EMBER_TESTS_SUPPORT_FORWARDING_PORT_H_
#define EMBER_TESTS_SUPPORT_FORWARDING_PORT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/backup/vault_port.h"

namespace ember::testing {

class ForwardingPort : public backup::VaultPort {
 public:
  // `to` must outlive the calls.
  explicit ForwardingPort(backup::VaultPort& to) : to_(to) {}
  absl::StatusOr<std::unique_ptr<backup::VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override {
    return to_.OpenSession(std::move(request));
  }
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    return to_.GetBackup(backup_id);
  }
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override {
    return to_.ListBackups(workload);
  }
  absl::Status Read(v1::ReadRequest request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    return to_.Read(std::move(request), sink);
  }

 private:
  backup::VaultPort& to_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_FORWARDING_PORT_H_
