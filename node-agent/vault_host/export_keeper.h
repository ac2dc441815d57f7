// Brings the controller's catalog exports into the vaults of this node.
#ifndef EMBER_NODE_AGENT_VAULT_HOST_EXPORT_KEEPER_H_
#define EMBER_NODE_AGENT_VAULT_HOST_EXPORT_KEEPER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/vault/vault.h"
#include "grpcpp/channel.h"

namespace ember::agent {

// One thread. Safe for concurrent use.
class ExportKeeper {
 public:
  struct Ports {
    Clock* clock = nullptr;
    // All of a format.v1.CatalogExport as the controller makes it now.
    std::function<absl::StatusOr<std::string>()> fetch;
    // The vaults that are served here now.
    std::function<std::vector<std::shared_ptr<vault::Vault>>()> vaults;
  };
  explicit ExportKeeper(Ports ports);
  ~ExportKeeper();

  void Run();
  void Stop();

  // Each vault should have the export of this number, or a newer one. What cannot be done is tried
  // again every kVaultRetrySeconds.
  void Want(uint64_t number);

 private:
  void Loop();
  absl::Status BringTo(const std::vector<std::shared_ptr<vault::Vault>>& vaults);

  const Ports ports_;
  absl::Mutex mu_;
  uint64_t wanted_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Notification stop_;
  std::thread thread_;
};

// ExportKeeper::Ports::fetch from the controller behind `channel`. RESOURCE_EXHAUSTED: larger than
// kExportBytesMax.
absl::StatusOr<std::string> FetchCatalogExport(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_VAULT_HOST_EXPORT_KEEPER_H_
