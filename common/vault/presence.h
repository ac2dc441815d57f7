// Whether a vault has the records that somebody names: what Have, Commit and OpenSession ask.
#ifndef EMBER_COMMON_VAULT_PRESENCE_H_
#define EMBER_COMMON_VAULT_PRESENCE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/pieces.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/stored_backups.h"

namespace ember::vault {

// Safe for concurrent use.
class Presence {
 public:
  // All must outlive this.
  Presence(ChunkIndex& index, DamagedIds& damaged, StoredBackups& backups)
      : index_(index), damaged_(damaged), backups_(backups) {}

  // What happens to those that are present: nothing; they are resurrected; they are pinned, too.
  enum class Claim { kNone, kKeep, kPin };
  // Calls `visit(i, present, session number)` for each id: is it stored, intact as far as known,
  // not condemned, and the domain's?
  absl::Status Check(const std::vector<absl::string_view>& ids, const std::string& domain_id,
                     Claim claim,
                     const std::function<void(size_t i, bool present, uint32_t session)>& visit);

  // The numbers of the sessions whose copies of these ids (joined) are read now; `absent` is called
  // for each id that is not present.
  absl::StatusOr<std::set<uint32_t>> SessionsOf(
      const Pieces& ids, const std::string& domain_id, Claim claim,
      const std::function<void(absl::string_view id)>& absent);

  // An IdFilter of what is stored of the domain; empty: too much is, of it or of all.
  absl::StatusOr<std::string> FilterOf(const std::string& domain_id);

  // A committed backup with this root exists, and all its ids are present.
  absl::StatusOr<bool> HasCompleteBackup(const std::string& domain_id,
                                         const std::string& manifest_root);
  // All ids of the backup were found present at a time when damaged ids were of that generation.
  void NoteComplete(const std::string& backup_id, uint64_t generation);

 private:
  absl::StatusOr<bool> IsComplete(const std::string& backup_id, const std::string& domain_id);

  ChunkIndex& index_;
  DamagedIds& damaged_;
  StoredBackups& backups_;
  absl::Mutex mu_;
  std::map<std::string, uint64_t> complete_ ABSL_GUARDED_BY(mu_);  // backup id to generation
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PRESENCE_H_
