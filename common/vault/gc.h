// Garbage collection: docs/vault.md. One round at a time; backups and restores go on meanwhile.
#ifndef EMBER_COMMON_VAULT_GC_H_
#define EMBER_COMMON_VAULT_GC_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/vault/chunk_index.h"
#include "common/vault/commit_gate.h"
#include "common/vault/live_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"
#include "common/vault/reader_leases.h"
#include "common/vault/session_table.h"
#include "common/vault/stored_backups.h"
#include "common/vault/vault.h"
#include "common/vault/vault_state.h"

namespace ember::vault {

// What a round works on; all of it outlives the round.
struct GcParts {
  ObjectStore& store;
  ChunkIndex& index;
  StoredBackups& backups;
  VaultState& state;
  PackTrash& trash;
  SessionTable& sessions;
  ReaderLeases& readers;
  CommitGate& gate;
  Clock& clock;
  absl::Duration trash_window;
  PackParityMode parity = PackParityMode::kOn;  // of packs that are rewritten
};

// One round; for one thread. After an error, CANCELLED included, the vault is as good as before:
// what was done so far stays done.
class GarbageCollection {
 public:
  GarbageCollection(const GcParts& parts, const JobContext& context)
      : parts_(parts), context_(context) {}

  absl::StatusOr<v1::VaultResult> Run(const v1::GcJob& job);

 private:
  // What is not garbage although no reference set names it.
  struct Protection {
    uint32_t epoch = 0;         // packs of this epoch or later
    uint32_t pinned_epoch = 0;  // pins of this epoch or later
    uint32_t leased_epoch =
        0;  // packs of this epoch or later, of sessions that made no backup (yet)
    SessionTable::InUse in_use;
  };
  enum class Claim { kNone, kLeased, kProtected };

  // The first two steps need no room, and make some.
  absl::Status EmptyTrash(const v1::GcJob& job);
  absl::Status Purge();
  void CompareTrash(const v1::GcJob& job);
  absl::Status MarkAndCondemn(uint32_t epoch);
  absl::Status MarkRange(LiveIds& live, const LiveIds::Range& range);
  absl::Status Condemn();
  bool IsGarbage(const Location& location);
  Claim ClaimOf(uint32_t session);
  void AddLive(const Location& location);
  void FillTotals();

  const GcParts parts_;
  const JobContext& context_;
  v1::VaultResult result_;
  absl::Time until_;  // what was put into the trash by then is due
  Protection protection_;
  std::set<std::string> unknown_domains_;
  absl::flat_hash_map<uint32_t, Claim> claims_;         // by session
  absl::flat_hash_map<uint32_t, uint64_t> live_bytes_;  // by pack
  std::vector<std::string> candidates_;                 // prefixes
  std::vector<Location> candidate_locations_;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_GC_H_
