// The vaults that live on this node.
#ifndef EMBER_NODE_AGENT_VAULT_HOST_VAULT_HOST_H_
#define EMBER_NODE_AGENT_VAULT_HOST_VAULT_HOST_H_

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
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// Opens what it is told to serve, in its own thread because an index may have to be rebuilt, and
// again every kVaultRetrySeconds while it cannot (a disk not mounted yet). Safe for concurrent use.
class VaultHost {
 public:
  using Opener = std::function<absl::StatusOr<std::unique_ptr<vault::Vault>>(const v1::VaultSpec&)>;
  // `changed`: a vault came up or failed; must not block.
  VaultHost(Opener open, Clock* clock, std::function<void()> changed);
  ~VaultHost();

  void Run();
  // Closes every vault that no call holds any more.
  void Stop();

  // A vault that is no longer named is closed when the last call on it ends; its directory stays.
  // So is one that moved to another path.
  void Set(const google::protobuf::RepeatedPtrField<v1::VaultSpec>& vaults);
  // Null when it is not to be served here; why it could not be opened.
  absl::StatusOr<std::shared_ptr<vault::Vault>> Find(const std::string& name) const;
  // One per vault that should be served here.
  std::vector<v1::VaultFact> Facts() const;

 private:
  struct Hosted {
    v1::VaultSpec spec;
    std::shared_ptr<vault::Vault> vault;  // null: not open (yet)
    absl::Status opened;                  // why not
    v1::VaultFact fact;
  };
  void Loop();
  void CloseDropped();
  void LookAt(const Hosted& hosted);
  void Note(const Hosted& looked);
  std::vector<Hosted> Due();

  const Opener open_;
  Clock* const clock_;
  const std::function<void()> changed_;
  mutable absl::Mutex mu_;
  std::map<std::string, Hosted> hosted_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<vault::Vault>> dropped_ ABSL_GUARDED_BY(mu_);  // closed by the thread
  bool look_now_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration looked_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  absl::Notification stop_;
  std::thread thread_;
};

// Opens the vault in spec.path(). INVALID_ARGUMENT: no absolute path.
VaultHost::Opener DirectoryVaults(Clock* clock);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_VAULT_HOST_VAULT_HOST_H_
