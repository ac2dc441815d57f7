// Gets rid of packs that are mostly garbage: docs/vault.md, step 4.
#ifndef EMBER_COMMON_VAULT_SWEEP_H_
#define EMBER_COMMON_VAULT_SWEEP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/vault/chunk_index.h"
#include "common/vault/gc.h"
#include "common/vault/pack.h"
#include "common/vault/vault.h"

namespace ember::vault {

// For one thread.
class Sweep {
 public:
  // `live_bytes`: of each pack, as far as known: what is found when a pack's turn comes counts.
  // `empty_trash` is called between packs: what it frees is room for copies.
  Sweep(const GcParts& parts, const JobContext& context, uint32_t epoch,
        const absl::flat_hash_map<uint32_t, uint64_t>& live_bytes, v1::VaultResult& result,
        std::function<absl::Status()> empty_trash)
      : parts_(parts),
        context_(context),
        epoch_(epoch),
        live_bytes_(live_bytes),
        result_(result),
        empty_trash_(std::move(empty_trash)) {}

  absl::Status Run();
  // Replaces these packs, whatever of them is garbage. Those with damage in what is not condemned
  // stay.
  static absl::Status Rewrite(const GcParts& parts, const JobContext& context,
                              const std::vector<ChunkIndex::PackFacts>& packs,
                              v1::VaultResult& result);

 private:
  struct Entry {
    std::string prefix;
    Location location;
  };
  struct Victim {
    ChunkIndex::PackFacts pack;
    std::vector<Entry> entries;  // in order of offset
    bool has_damage = false;
  };

  // The packs that are worth it, wholly dead ones first.
  std::vector<ChunkIndex::PackFacts> Choose(uint64_t& dead) const;
  absl::Status SweepGroup(absl::Span<const ChunkIndex::PackFacts> packs);
  absl::StatusOr<std::vector<Entry>> EntriesOf(const ChunkIndex::PackFacts& pack);
  absl::StatusOr<bool> HasRoom(uint64_t bytes);
  // Copies what is not condemned; null when there is nothing. Damaged ones are marked as such.
  absl::StatusOr<std::unique_ptr<PackWriter>> CopyLive(std::vector<Victim>& victims);
  absl::Status CopyFrom(Victim& victim, PackWriter& writer);
  absl::Status CopyRun(Victim& victim, absl::Span<const Entry* const> run, PackWriter& writer);
  absl::Status Retire(const std::vector<Victim>& victims, const PackWriter::Published* replacement);

  const GcParts& parts_;
  const JobContext& context_;
  const uint32_t epoch_;
  const absl::flat_hash_map<uint32_t, uint64_t>& live_bytes_;
  v1::VaultResult& result_;
  const std::function<absl::Status()> empty_trash_;
  bool out_of_room_ = false;  // said once
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_SWEEP_H_
