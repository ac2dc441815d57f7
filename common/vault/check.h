// Checking a vault without any key (docs/vault.md, checking): L0 compares records, reference sets
// and index, L1 reads every byte of every pack; damage is repaired where there is parity. Backups
// and restores go on meanwhile.
#ifndef EMBER_COMMON_VAULT_CHECK_H_
#define EMBER_COMMON_VAULT_CHECK_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack_trash.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault.h"

namespace ember::vault {

// What a check works on; all of it outlives the check.
struct CheckParts {
  ObjectStore& store;
  ChunkIndex& index;
  StoredBackups& backups;
  PackTrash& trash;
  DamagedIds& damaged;
};

// One check; for one thread, which it helps with another. What is found damaged is "absent" from
// that moment on. No garbage collection may run meanwhile.
class Check {
 public:
  Check(const CheckParts& parts, const JobContext& context) : parts_(parts), context_(context) {}

  // FAILED_PRECONDITION: repair is asked for without reading the data. UNIMPLEMENTED: it is to heal
  // from another vault.
  absl::StatusOr<v1::VaultResult> Run(const v1::CheckJob& job);

 private:
  absl::Status FindLostPacks();
  absl::Status ReadPacks(bool repair);
  // L1 of one pack. Both threads call it.
  absl::Status ReadPack(const std::string& name, bool repair);
  absl::Status HandleDamage(const std::string& name, const std::string& bytes, bool repair);
  absl::Status CompareWithIndex(const std::string& name, const format::v1::PackFooter& table);
  absl::Status NoteDamagedRecords(const std::string& name, absl::string_view bytes);
  absl::Status CheckBackup(const std::string& backup_id, const StoredBackups::Entry& entry);
  absl::Status CheckIds(absl::string_view ids, const std::string& domain_id, int64_t& bad);
  absl::Status FindStrangers();
  void NoteProblem(absl::string_view problem);

  const CheckParts parts_;
  const JobContext& context_;
  std::vector<std::string> packs_;  // in the store and not in the trash
  std::set<uint32_t> lost_packs_;   // named by the index, gone or too short
  int64_t bytes_total_ = 0;

  absl::Mutex mu_;  // what both threads touch
  size_t next_pack_ ABSL_GUARDED_BY(mu_) = 0;
  v1::VaultResult result_ ABSL_GUARDED_BY(mu_);
  // By prefix, the pack in which the record is damaged: nothing is forgotten however much there is
  // (kDamagedIdsMax), and a copy that came meanwhile is not taken for the damaged one.
  absl::flat_hash_map<std::string, uint32_t> bad_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<std::string> reported_;  // prefixes in records_damaged
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_CHECK_H_
