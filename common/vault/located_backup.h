// Where each record of one backup is, found in the packs themselves.
#ifndef EMBER_COMMON_VAULT_LOCATED_BACKUP_H_
#define EMBER_COMMON_VAULT_LOCATED_BACKUP_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/vault/job.h"
#include "common/vault/object_store.h"
#include "common/vault/pack_reader.h"
#include "common/vault/read_replies.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Holds 32 bytes per copy of a record, of this backup alone; while it looks, another 16 per record.
// Safe for concurrent use.
class LocatedBackup {
 public:
  // Every copy counts, since any may be damaged. Packs in the trash are looked at only for what is
  // nowhere else: the process may have died before it let go of one. With a damaged reference set
  // the records of the whole domain are located. CANCELLED.
  static absl::StatusOr<std::unique_ptr<LocatedBackup>> Find(
      std::shared_ptr<ObjectStore> store, const format::v1::StoredBackupRecord& record,
      absl::string_view tail, const JobContext& context);

  // Of every session whose records it has; by session id.
  const std::map<std::string, std::string>& keyboxes() const { return keyboxes_; }
  // Packs that cannot be read or only by scanning, a damaged reference set: a sentence for each.
  const std::vector<std::string>& problems() const { return problems_; }

  // Each of `ids` (32 bytes) as record or problem. A record whose copies are all damaged is
  // computed from a pack's parity, in memory, when there is enough of it. Errors are the sink's.
  absl::Status Read(std::vector<std::string> ids, const ReadSink& sink) const;

 private:
  struct Copy {
    absl::uint128 prefix = 0;  // of the id
    uint32_t pack = 0;         // number in packs_
    uint32_t offset = 0;
    uint32_t length = 0;
  };
  struct Search;

  explicit LocatedBackup(std::shared_ptr<ObjectStore> store) : store_(std::move(store)) {}
  absl::Status Look(const std::vector<std::string>& packs, Search* search);
  void Take(const std::string& pack, const format::v1::PackFooter& table, const Search& search);
  absl::StatusOr<format::v1::PackFooter> TableOf(const std::string& pack);
  std::vector<Copy> CopiesOf(absl::string_view id) const;
  // From the other copies, then from parity.
  absl::Status ReadElsewhere(const std::string& id, const std::string& why,
                             ReadReplies* replies) const;
  // The bytes of a pack as they were written; DATA_LOSS when parity cannot give them.
  absl::StatusOr<std::shared_ptr<const std::string>> Repaired(uint32_t pack) const;

  const std::shared_ptr<ObjectStore> store_;
  std::vector<std::string> packs_;  // that have a record of the backup
  std::vector<Copy> copies_;        // by prefix; those in the trash last
  std::map<std::string, std::string> keyboxes_;
  std::vector<std::string> problems_;

  // The pack that was repaired last: damage comes in groups.
  mutable absl::Mutex repair_mu_;
  mutable uint32_t repaired_pack_ ABSL_GUARDED_BY(repair_mu_) = 0;
  mutable std::shared_ptr<const std::string> repaired_ ABSL_GUARDED_BY(repair_mu_);
  mutable std::set<uint32_t> beyond_repair_ ABSL_GUARDED_BY(repair_mu_);
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_LOCATED_BACKUP_H_
