// The committed backups of a vault: for each a record (snaps/<domain>/<sequence>-<stamp>) and the
// ids it refers to (refs/<domain>/<same name>). A backup exists from the moment its record does;
// the ids are always written before.
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
#include "common/base/clock.h"
#include "common/vault/object_store.h"
#include "common/vault/vault_state.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Safe for concurrent use. Commits of one domain follow each other, since each record names the
// hash of the last.
class StoredBackups {
 public:
  // Reads all records; damaged ones are logged and remembered. Removes what a commit cut short
  // left. Raises `state` to the highest stamp found. `store` and `state` must outlive the result.
  static absl::StatusOr<std::unique_ptr<StoredBackups>> Load(ObjectStore& store, VaultState& state);

  struct Entry {
    std::string object;  // "snaps/..."
    std::string domain_id;
    std::string session_id;
    std::string manifest_root;
  };
  std::optional<Entry> Find(const std::string& backup_id);
  // The backup committed by a session.
  std::optional<std::string> FindBySession(const std::string& session_id);
  std::vector<std::string> FindByRoot(absl::string_view domain_id, absl::string_view manifest_root);

  // DATA_LOSS naming the damaged file; NOT_FOUND.
  absl::StatusOr<format::v1::StoredBackupRecord> Get(const std::string& backup_id);
  // The records of `workload` (all when empty) in order of sequence; a damaged one is logged and
  // left out.
  std::vector<format::v1::StoredBackupRecord> List(const std::string& workload);
  // The ids of a backup, concatenated. DATA_LOSS when they are not what was committed.
  absl::StatusOr<std::string> ReadRefs(const std::string& backup_id);

  // Stamps and publishes; durable when OK. `ids` sorted, unique. Fills in sequence, received,
  // refs_sha256, ids_total, previous_sha256. ALREADY_EXISTS when the id is taken.
  absl::StatusOr<format::v1::StoredBackupRecord> Publish(format::v1::StoredBackupRecord record,
                                                         const std::vector<std::string>& ids,
                                                         Clock& clock);

  int64_t size();
  int64_t damaged();

 private:
  StoredBackups(ObjectStore& store, VaultState& state) : store_(store), state_(state) {}

  struct Domain {
    absl::Mutex mu;  // held while a commit writes
    std::string last_sha256 ABSL_GUARDED_BY(mu);
  };
  Domain& DomainOf(const std::string& domain_id);
  absl::Status LoadOne(const std::string& object);
  // Ids whose record never came into being. `objects`: all records, sorted.
  absl::Status RemoveOrphans(const std::vector<std::string>& objects);
  void Remember(const std::string& object, const format::v1::StoredBackupRecord& record);
  absl::StatusOr<format::v1::StoredBackupRecord> ReadRecord(const std::string& object);

  ObjectStore& store_;
  VaultState& state_;
  absl::Mutex mu_;  // the tables; never held during I/O
  std::map<std::string, std::unique_ptr<Domain>> domains_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);           // by backup id
  std::map<std::string, std::string> by_session_ ABSL_GUARDED_BY(mu_);  // session id to backup id
  std::set<std::string> damaged_ ABSL_GUARDED_BY(mu_);                  // objects
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_STORED_BACKUPS_H_
