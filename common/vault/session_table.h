// The backup sessions that are open: at most one per workload, the one with the highest fencing
// token.
#ifndef EMBER_COMMON_VAULT_SESSION_TABLE_H_
#define EMBER_COMMON_VAULT_SESSION_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/vault/session.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

// Safe for concurrent use.
class SessionTable {
 public:
  explicit SessionTable(Clock& clock) : clock_(clock) {}

  // ABORTED when over, PERMISSION_DENIED when another node's.
  absl::StatusOr<std::shared_ptr<Session>> Find(const std::string& node,
                                                const std::string& session_id, uint64_t token);
  absl::StatusOr<std::shared_ptr<Session>> Find(const std::string& session_id);
  // The session id is free, or in use for the very same backup. ALREADY_EXISTS, PERMISSION_DENIED.
  absl::Status CheckUnused(const std::string& node, const v1::OpenSessionRequest& request);
  // Makes `session` the workload's current one. Returns the one that it replaces, if any.
  // RESOURCE_EXHAUSTED: too many workloads.
  absl::StatusOr<std::shared_ptr<Session>> Register(const std::shared_ptr<Session>& session);

  // What garbage collection leaves alone for the sake of sessions that are neither committed nor
  // idle for kSessionLeaseHours.
  struct InUse {
    std::set<std::string> session_ids;
    std::set<std::string> parents;  // backup ids
    uint32_t lowest_epoch = UINT32_MAX;
  };
  InUse ListInUse();

 private:
  Clock& clock_;
  absl::Mutex mu_;  // never held while another is taken or during I/O
  std::map<std::string, std::shared_ptr<Session>> sessions_
      ABSL_GUARDED_BY(mu_);                                          // by session id, current ones
  std::map<std::string, std::string> current_ ABSL_GUARDED_BY(mu_);  // workload to session id
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_SESSION_TABLE_H_
