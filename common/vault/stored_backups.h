// The backups of a vault: committed, in the trash, or gone with a tombstone (docs/vault.md, states;
// the objects: backup_objects.h). A backup exists from the moment its record does; its ids are
// always written before, and removed after it is gone. A move writes the new object before it
// removes the old one, so that at every instant a backup is in at least one place; both of them is
// settled by Load.
#ifndef EMBER_COMMON_VAULT_STORED_BACKUPS_H_
#define EMBER_COMMON_VAULT_STORED_BACKUPS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/vault/backup_objects.h"
#include "common/vault/object_store.h"
#include "common/vault/ref_set.h"
#include "common/vault/vault_state.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Who deleted a backup, and when by the vault's time.
struct Deletion {
  absl::Time time = absl::InfinitePast();
  bool by_person = false;
  std::string who;
  std::string why;
};

// Safe for concurrent use. Commits of one domain follow each other, since each record names the
// hash of the last; so do deletions.
class StoredBackups {
 public:
  // Reads all records; damaged ones are logged and remembered. Completes or takes back what was cut
  // short. Raises `state` to the highest stamp found. `store` and `state` must outlive the result.
  static absl::StatusOr<std::unique_ptr<StoredBackups>> Load(ObjectStore& store, VaultState& state);

  struct Entry {
    std::string tail;  // see backup_objects.h
    std::string domain_id;
    std::string session_id;
    std::string manifest_root;
    std::string refs_sha256;
    absl::Time received;
    absl::Time retain_until;           // InfinitePast: not held
    std::optional<Deletion> deletion;  // in the trash since
  };
  // Committed or in the trash.
  std::optional<Entry> Find(const std::string& backup_id);
  std::map<std::string, Entry> All();
  // The deletion of a backup that is gone.
  std::optional<Deletion> FindPurged(const std::string& backup_id);
  // The backup committed by a session, also when it is in the trash or gone.
  std::optional<std::string> FindBySession(const std::string& session_id);
  // The lowest sequence of a backup, committed or in the trash, that has records of the session.
  std::map<std::string, uint64_t> FirstUses();
  // Committed ones.
  std::vector<std::string> FindByRoot(absl::string_view domain_id, absl::string_view manifest_root);

  // These three are of committed backups. DATA_LOSS naming the damaged file; NOT_FOUND, with the
  // way back when it is in the trash.
  absl::StatusOr<format::v1::StoredBackupRecord> Get(const std::string& backup_id);
  // The record of a backup that All() or Find() gave, also when it is in the trash.
  absl::StatusOr<format::v1::StoredBackupRecord> GetWherever(const std::string& backup_id,
                                                             const Entry& entry);
  // The records of `workload` (all when empty) in order of sequence; a damaged one is logged and
  // left out.
  std::vector<format::v1::StoredBackupRecord> List(const std::string& workload);
  // Errors as of ReadRefSet, too.
  absl::Status ReadRefs(const std::string& backup_id, const PieceSink& sink);

  // Stamps and publishes; durable when OK. Fills in sequence, received, refs_sha256, ids_total,
  // previous_sha256, and with a `hold` retain_until. ALREADY_EXISTS when the id is or was taken.
  absl::StatusOr<format::v1::StoredBackupRecord> Publish(
      format::v1::StoredBackupRecord record, const NewRefSet& ids, Clock& clock,
      absl::Duration hold = absl::ZeroDuration());

  // Durable when OK, also when it is there already. NOT_FOUND.
  absl::Status MoveToTrash(const std::string& backup_id, const Deletion& deletion);
  // Durable when OK; OK when it is committed. NOT_FOUND, also when it is gone.
  absl::Status Undelete(const std::string& backup_id);
  // From the trash to its tombstone; then its ids go. Durable when OK; OK when it is gone already.
  // FAILED_PRECONDITION when it is committed.
  absl::Status Purge(const std::string& backup_id, absl::Time now);
  // Deleted after `since` without a person's word, whether purged meanwhile or not.
  int64_t CountDeletedByRule(absl::Time since);

  // Reads every record and tombstone: a sentence for each place where one is missing or was
  // exchanged (docs/vault.md, I7). Deletions wait for it.
  absl::StatusOr<std::vector<std::string>> CheckChains();

  int64_t size();  // committed
  int64_t trashed();
  int64_t damaged();
  // As Load or the last CheckChains found it.
  int64_t broken_chains();

 private:
  StoredBackups(ObjectStore& store, VaultState& state) : store_(store), state_(state) {}

  struct Domain {
    absl::Mutex mu;  // held while a commit writes
    std::string last_sha256 ABSL_GUARDED_BY(mu);
  };
  Domain& DomainOf(const std::string& domain_id);
  absl::Status LoadAll();
  absl::Status LoadOne(absl::string_view kind, const std::string& tail);
  absl::Status LoadTombstone(const std::string& tail);
  // A backup in two places: see stored_backups.cc.
  absl::Status SettleMoves();
  // The ids at `tail` have no record, and are all that is left of one that was lost.
  bool IsEvidence(const std::string& tail, const std::map<std::string, DomainChain>& chains);
  // Ids whose record never came into being, or is gone.
  absl::Status RemoveOrphans(const std::map<std::string, DomainChain>& chains);
  void Remember(const std::string& tail, const format::v1::StoredBackupRecord& record,
                std::optional<Deletion> deletion);
  void NoteDamaged(absl::string_view kind, const std::string& tail, const absl::Status& why);
  absl::Status Missing(const std::string& backup_id);

  ObjectStore& store_;
  VaultState& state_;
  absl::Mutex change_mu_;  // one change of a backup's state at a time; before Domain::mu and mu_
  absl::Mutex mu_;         // the tables; never held during I/O
  std::map<std::string, std::unique_ptr<Domain>> domains_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);           // by backup id
  std::map<std::string, Deletion> purged_ ABSL_GUARDED_BY(mu_);         // by backup id
  std::map<std::string, std::string> by_session_ ABSL_GUARDED_BY(mu_);  // session id to backup id
  std::set<std::string> damaged_ ABSL_GUARDED_BY(mu_);                  // tails
  int64_t broken_chains_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_STORED_BACKUPS_H_
