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
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

struct Location {
  uint32_t pack = 0;     // number, see PackName
  uint32_t offset = 0;   // of the record header; packs are far smaller than 4 GiB
  uint32_t length = 0;   // of the payload
  uint32_t session = 0;  // number, see SessionOf
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
  // record, but heals a damaged one.
  virtual absl::Status AddPack(absl::string_view name, uint64_t size,
                               const format::v1::PackFooter& table, const IsIntact& is_intact) = 0;

  // One result per id.
  virtual absl::StatusOr<std::vector<std::optional<Location>>> Find(
      const std::vector<absl::string_view>& ids) = 0;

  virtual std::vector<std::string> PackNames() = 0;                // sorted
  virtual std::string PackName(uint32_t number) = 0;               // "" when unknown
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
