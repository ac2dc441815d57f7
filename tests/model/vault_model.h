// A vault as an ordered map: what each call must answer, and what must be there afterwards.
#ifndef EMBER_TESTS_MODEL_VAULT_MODEL_H_
#define EMBER_TESTS_MODEL_VAULT_MODEL_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/support/vault_client.h"

namespace ember::testing {

// What the model knows of one record.
enum class Presence {
  kAbsent,
  kPresent,
  kEither,  // garbage: it is there until a collection takes it
};

// Told about each call and its answer, in order; an error says what the vault should have answered.
class VaultModel {
 public:
  // The session that counts for a workload.
  struct Session {
    PlannedBackup backup;
    uint64_t token = 0;
    std::set<int> pending;   // appended, not yet synced
    std::set<int> answered;  // the vault said that it has them: it must keep them for this session
    absl::Duration used;     // when it last called, by the clock that does not jump
  };
  struct Backup {
    enum State { kStored, kTrashed, kPurged };
    State state = kStored;
    v1::CommitReply reply;
    absl::Time deleted;  // by the highest clock ever seen, and by the clock as it was
    absl::Time deleted_by_clock;
  };

  // Before each step: the vault's clocks, of which the first may have jumped.
  void SetTime(absl::Time now, absl::Duration monotonic);

  absl::Status Opened(const PlannedBackup& backup, uint64_t epoch,
                      const absl::StatusOr<uint64_t>& token);
  absl::Status Answered(const PlannedBackup& backup, uint64_t token, const std::vector<int>& asked,
                        const absl::StatusOr<std::vector<int>>& absent);
  absl::Status Appended(const PlannedBackup& backup, uint64_t token,
                        const std::vector<int>& records, const absl::Status& answer);
  absl::Status Synced(const PlannedBackup& backup, const absl::Status& answer);
  absl::Status Committed(const PlannedBackup& backup, uint64_t token,
                         const absl::StatusOr<v1::CommitReply>& answer);
  absl::Status Deleted(const std::vector<PlannedBackup>& backups, bool by_person,
                       const absl::Status& answer);
  absl::Status Undeleted(const std::vector<PlannedBackup>& backups, const absl::Status& answer);
  absl::Status Collected(const absl::StatusOr<v1::VaultResult>& answer);
  // The vault was closed, or its process died: sessions are over, what was not synced is gone.
  void Restarted();

  // Lists, and restores what `restore` allows, none of it changing anything.
  absl::Status CheckShown(vault::Vault& vault, bool restore) const;

  // The current session of a workload, if any.
  const Session* CurrentOf(const std::string& workload) const;
  const std::map<PlannedBackup, Backup>& backups() const { return backups_; }
  // Stored records that no backup, stored or in the trash, refers to.
  std::vector<int> Unreferenced() const;

 private:
  // Null when the session is over; then the answer must be ABORTED.
  Session* Find(const PlannedBackup& backup, uint64_t token);
  Presence Of(int record) const;
  std::set<int> Referenced() const;
  void MakeDurable(Session& session);

  std::map<int, Presence> records_;
  std::map<std::string, Session> sessions_;  // by workload
  std::map<std::string, uint64_t> tokens_;
  std::map<std::string, uint64_t> epochs_;
  std::map<PlannedBackup, Backup> backups_;
  uint64_t sequence_ = 0;
  absl::Time received_ = absl::InfinitePast();
  absl::Time now_;
  absl::Duration monotonic_;
  absl::Time highest_ = absl::InfinitePast();
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_MODEL_VAULT_MODEL_H_
