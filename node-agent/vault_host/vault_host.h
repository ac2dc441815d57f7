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
  // `rebuild_index`: make the index anew, whatever it holds.
  using Opener = std::function<absl::StatusOr<std::unique_ptr<vault::Vault>>(
      const v1::VaultSpec& spec, bool rebuild_index)>;
  // `changed`: a vault came up or failed; must not block.
  VaultHost(Opener open, Clock* clock, std::function<void()> changed);
  ~VaultHost();

  void Run();
  // Closes every vault that no call holds any more.
  void Stop();

  // A vault that is no longer named is closed when the last call on it ends; its directory stays.
  // So is one that moved to another path. New rules are told to the open vault, which goes on.
  void Set(const google::protobuf::RepeatedPtrField<v1::VaultSpec>& vaults);
  // Null when it is not to be served here; why it could not be opened.
  absl::StatusOr<std::shared_ptr<vault::Vault>> Find(const std::string& name) const;
  // Those that are open now.
  std::vector<std::shared_ptr<vault::Vault>> Open() const;
  // Closes the vault and opens it with an index made anew from its packs; returns what is still
  // wrong with it then, "" when nothing is. What is asked of it meanwhile is answered UNAVAILABLE.
  // NOT_FOUND: not served here. UNAVAILABLE: in use by a backup, a restore or another job for
  // longer than kVaultRetrySeconds. In both cases nothing was done; other errors are those of
  // opening it.
  absl::StatusOr<std::string> RebuildIndex(const std::string& name);
  // One per vault that should be served here.
  std::vector<v1::VaultFact> Facts() const;

 private:
  struct Hosted {
    v1::VaultSpec spec;
    std::shared_ptr<vault::Vault> vault;  // null: not open (yet)
    absl::Status opened;                  // why not
    v1::VaultFact fact;
    bool rebuilding = false;
  };
  void Loop();
  void CloseDropped();
  void LookAt(const Hosted& hosted);
  absl::StatusOr<v1::VaultSpec> TakeForRebuild(const std::string& name);
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

// Opens the vault in spec.path(), by the spec's rules.
// INVALID_ARGUMENT: no absolute path.
VaultHost::Opener DirectoryVaults(Clock* clock);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_VAULT_HOST_VAULT_HOST_H_
