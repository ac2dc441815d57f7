// A vault in memory, with faults on request.
#ifndef EMBER_TESTS_SUPPORT_MEMORY_VAULT_H_
#define EMBER_TESTS_SUPPORT_MEMORY_VAULT_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/backup/vault_port.h"

namespace ember::testing {

// Passes tests/contract/vault_port_contract.h. Safe for concurrent use.
class MemoryVault : public backup::VaultPort {
 public:
  absl::StatusOr<std::unique_ptr<backup::VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override;
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override;
  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override;
  absl::Status Read(v1::ReadRequest request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override;

  enum class Call { kOpenSession, kAbsent, kUpload, kFlush, kCommit, kRead };
  // After `times` more successes, `call` fails with `status` for ever; OK lifts it.
  void FailAfter(Call call, int times, absl::Status status);
  // Changes each record on its way into the store; false: loses it, unnoticed.
  void OnStore(std::function<bool(v1::Record&)> change);
  // Changes what is stored; false: the record disappears.
  void ChangeStored(const std::function<bool(v1::Record&)>& change);
  // A record that Read reports as damaged instead of returning it.
  void ReportDamaged(const std::string& id);

  int64_t calls(Call call) const;
  int64_t records() const;
  int64_t stored_bytes() const;

 private:
  friend class MemorySession;
  struct Session {
    std::string workload;
    std::string domain_id;
    std::string backup_id;
    std::string keybox;
    uint64_t token = 0;
    int64_t added_bytes = 0;
    bool committed = false;
    v1::CommitReply reply;
  };
  absl::Status Count(Call call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Session*> Find(const std::string& session_id, uint64_t token)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<std::string, v1::Record> records_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> damaged_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> newest_token_ ABSL_GUARDED_BY(mu_);   // by workload
  std::map<std::string, uint64_t> highest_epoch_ ABSL_GUARDED_BY(mu_);  // by workload
  std::set<std::string> domains_ ABSL_GUARDED_BY(mu_);                  // that have records
  std::vector<v1::StoredBackup> backups_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::set<std::string>> boxes_ ABSL_GUARDED_BY(mu_);  // by domain
  uint64_t tokens_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Call, int64_t> calls_ ABSL_GUARDED_BY(mu_);
  std::map<Call, std::pair<int64_t, absl::Status>> faults_ ABSL_GUARDED_BY(mu_);
  std::function<bool(v1::Record&)> on_store_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_MEMORY_VAULT_H_
