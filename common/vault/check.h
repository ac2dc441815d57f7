// Checking a vault without any key (docs/vault.md, checking): L0 compares records, reference sets
// and index, L1 reads every byte of every pack; damage is repaired where there is parity. Backups
// and restores go on meanwhile.
#ifndef EMBER_COMMON_VAULT_CHECK_H_
#define EMBER_COMMON_VAULT_CHECK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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
#include "common/vault/catalog_exports.h"
#include "common/vault/copy_records.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault.h"

namespace ember::vault {

// What a check works on; all of it outlives the check.
struct CheckParts {
  CopyParts copies;
  StoredBackups& backups;
  absl::Mutex& boxes_mu;  // held while recovery boxes are written
  const CatalogExports& exports;
  // Replaces these packs by what is neither condemned nor damaged in them; one of which a record
  // that is not condemned cannot be read stays.
  std::function<absl::Status(const std::vector<ChunkIndex::PackFacts>&, v1::VaultResult&)> rewrite;
};

// One check; for one thread, which it helps with another. What is found damaged is "absent" from
// that moment on. No garbage collection may run meanwhile.
class Check {
 public:
  Check(const CheckParts& parts, const JobContext& context) : parts_(parts), context_(context) {}

  // FAILED_PRECONDITION: repair is asked for without reading the data, or another vault without
  // repair. UNAVAILABLE: that one does not answer.
  absl::StatusOr<v1::VaultResult> Run(const v1::CheckJob& job);

 private:
  absl::Status FindLostPacks();
  absl::Status ReadPacks(bool repair);
  // L1 of one pack. Both threads call it.
  absl::Status ReadPack(const std::string& name, bool repair);
  absl::Status HandleDamage(const std::string& name, const std::string& bytes, bool repair);
  absl::Status CompareWithIndex(const std::string& name, const format::v1::PackFooter& table,
                                bool repair);
  absl::Status NoteDamagedRecords(const std::string& name, absl::string_view bytes);
  struct BadRecord {
    std::string id;
    std::optional<uint32_t> pack;  // that the index leads to
  };
  absl::Status VisitIds(const std::string& backup_id, const StoredBackups::Entry& entry,
                        const std::function<absl::Status(std::vector<std::string> ids)>& visit,
                        absl::Status& wrong);
  absl::Status HealBackup(const std::string& backup_id, const StoredBackups::Entry& entry);
  absl::Status CheckBackup(const std::string& backup_id, const StoredBackups::Entry& entry);
  absl::Status JudgeIds(const std::vector<std::string>& ids, const std::string& domain_id,
                        int64_t& bad);
  absl::StatusOr<std::vector<BadRecord>> FindBad(const std::vector<std::string>& ids,
                                                 const std::string& domain_id);
  absl::Status Heal(const std::string& backup_id, const std::string& domain_id,
                    const std::vector<BadRecord>& records);
  // As the index knows it.
  std::optional<ChunkIndex::PackFacts> FindPack(const std::string& name);
  void NoteDamagedPack(const std::string& name, const std::string& why);
  absl::Status NoteRewritten(const std::vector<BadRecord>& records);
  absl::StatusOr<bool> IsWholeAgain(uint32_t pack);
  absl::StatusOr<bool> HashPack(const std::string& name, uint64_t size);
  absl::Status SettleDamagedPacks(bool repair);
  absl::Status CondemnDamaged(uint32_t pack);
  absl::Status FindStrangers();
  absl::Status CheckBoxes(const std::map<std::string, StoredBackups::Entry>& backups);
  void NoteProblem(absl::string_view problem);

  const CheckParts parts_;
  const JobContext& context_;
  std::vector<std::string> packs_;   // in the store and not in the trash
  std::set<uint32_t> lost_packs_;    // named by the index, and gone
  std::set<uint32_t> needed_packs_;  // with a record that is needed, damaged and not healed
  // A reference set could not be read, or came meanwhile: what it needs must not be taken for
  // garbage.
  bool some_needs_unknown_ = false;
  int64_t bytes_total_ = 0;

  absl::Mutex mu_;  // what both threads touch
  size_t next_pack_ ABSL_GUARDED_BY(mu_) = 0;
  v1::VaultResult result_ ABSL_GUARDED_BY(mu_);
  // By prefix, the pack in which the record is damaged: nothing is forgotten however much there is
  // (kDamagedIdsMax), and a copy that came meanwhile is not taken for the damaged one.
  absl::flat_hash_map<std::string, uint32_t> bad_ ABSL_GUARDED_BY(mu_);
  struct DamagedPack {
    ChunkIndex::PackFacts facts;
    std::string why;
  };
  std::map<uint32_t, DamagedPack> damaged_packs_;  // by number; both threads only while reading
  absl::flat_hash_set<std::string> reported_;      // prefixes in records_damaged
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_CHECK_H_
