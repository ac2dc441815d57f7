// Where each record is: derived from the packs, never authoritative, kept in RocksDB so that it may
// be larger than memory. Keys are the first 16 bytes of an id (64 bytes of disk per entry become
// 48); whoever reads a record compares the whole id.
#ifndef EMBER_COMMON_VAULT_CHUNK_INDEX_H_
#define EMBER_COMMON_VAULT_CHUNK_INDEX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/pack.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// What of an id is its key.
inline constexpr size_t kIndexPrefixBytes = 16;

struct Location {
  uint32_t pack = 0;       // number, see PackName; not used twice while the index is open
  uint32_t offset = 0;     // of the record header; packs are far smaller than 4 GiB
  uint32_t length = 0;     // of the payload
  uint32_t session = 0;    // number, see SessionOf; not used twice either
  uint32_t pinned = 0;     // the latest epoch in which it was pinned
  bool condemned = false;  // garbage, unless somebody asks to keep it
  bool operator==(const Location&) const = default;
};

// Safe for concurrent use. DATA_LOSS: the index is damaged; it says so to the next Open, and is
// then made anew.
class ChunkIndex {
 public:
  // Opens or creates. DATA_LOSS also when it was made for another vault.
  static absl::StatusOr<std::unique_ptr<ChunkIndex>> Open(const std::string& directory,
                                                          const std::string& vault_id);
  // Removes an index, and nothing else, from `directory`.
  static absl::Status Destroy(const std::string& directory);
  virtual ~ChunkIndex() = default;

  // Says whether the copy of `id` that the index knows is intact.
  using IsIntact = std::function<bool(const Location&, absl::string_view id)>;
  // Adds a durable pack, all or nothing; known packs are left as they are. An id that is already
  // present stays where it is as long as that copy is intact: a second upload cannot replace a good
  // record, but heals a damaged one. A condemned copy is replaced.
  virtual absl::Status AddPack(absl::string_view name, uint64_t size,
                               const format::v1::PackFooter& table, const IsIntact& is_intact) = 0;
  // An intact pack, as if it were new: what the index had from it when it was damaged is put right.
  // None of its entries is condemned from then on. Durable when OK: whoever opens the index reads
  // no pack that it knows.
  virtual absl::Status AddPackAgain(absl::string_view name, uint64_t size,
                                    const format::v1::PackFooter& table,
                                    const IsIntact& is_intact) = 0;

  // One result per id.
  virtual absl::StatusOr<std::vector<std::optional<Location>>> Find(
      const std::vector<absl::string_view>& ids) = 0;

  // Find, and what is found is to stay: condemned entries are resurrected, and with `pin` entries
  // are pinned in the current epoch. Absent is what is condemned and in a pack that is being
  // retired.
  virtual absl::StatusOr<std::vector<std::optional<Location>>> Keep(
      const std::vector<absl::string_view>& ids, bool pin) = 0;

  // Packs, and pins, carry this epoch from now on. Never lower than before.
  virtual void SetEpoch(uint32_t epoch) = 0;
  virtual uint32_t epoch() = 0;
  // The highest epoch of any pack.
  virtual uint32_t HighestEpoch() = 0;

  // Entries of prefixes from `from` on and below `to` ("": to the end), ascending, as of the call.
  virtual absl::Status Scan(
      absl::string_view from, absl::string_view to,
      const std::function<absl::Status(absl::string_view prefix, const Location&)>& visit) = 0;

  // What garbage collection needs, for one thread. Condemn and Retire exclude Keep and AddPack:
  // they are the pin lock of docs/vault.md, held for the entries of one call.

  // Flags the entries that `is_garbage` says; it must not call back, except for PackOf and
  // SessionOf. Per prefix: condemned by now, or gone.
  virtual absl::StatusOr<std::vector<bool>> Condemn(
      const std::vector<std::string>& prefixes,
      const std::function<bool(const Location&)>& is_garbage) = 0;

  // From now on no condemned entry of these packs is resurrected, until they are retired or spared.
  virtual void BeginRetire(const std::vector<uint32_t>& packs) = 0;
  virtual void Spare(const std::vector<uint32_t>& packs) = 0;
  struct Victim {
    uint32_t pack = 0;
    std::vector<std::string> prefixes;  // of all entries that may name it
  };
  // All or nothing: entries of the victims whose records are in `replacement` (durable; may be
  // null) point there, other ones are removed, and so are the packs. FAILED_PRECONDITION, nothing
  // is done: an entry is neither condemned nor in the replacement.
  virtual absl::Status Retire(const std::vector<Victim>& victims,
                              const PackWriter::Published* replacement) = 0;
  // What was done so far survives a power failure.
  virtual absl::Status Sync() = 0;

  struct PackFacts {
    uint32_t number = 0;
    std::string name;
    uint64_t size = 0;
    uint64_t record_bytes = 0;  // headers and payloads; the rest is start and footer
    uint32_t epoch = 0;         // of its publication, its repair or the latest rebuild
  };
  virtual std::vector<PackFacts> Packs() = 0;
  // Empty when unknown. A retired pack is known as long as the index is open: readers may hold it.
  virtual PackFacts PackOf(uint32_t number) = 0;

  virtual std::vector<std::string> PackNames() = 0;                // sorted
  virtual std::string PackName(uint32_t number) = 0;               // as PackOf; "" when unknown
  virtual format::v1::PackSession SessionOf(uint32_t number) = 0;  // empty when unknown
  // The session that stored records under this id, if any.
  virtual std::optional<format::v1::PackSession> FindSession(absl::string_view session_id) = 0;
  struct SessionPacks {
    std::vector<std::string> names;
    uint64_t bytes = 0;
  };
  virtual SessionPacks PacksOf(absl::string_view session_id) = 0;
  // Some session of the domain stored a record.
  virtual bool HasDomain(absl::string_view domain_id) = 0;
  // Some call has returned DATA_LOSS.
  virtual bool damaged() = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_CHUNK_INDEX_H_
