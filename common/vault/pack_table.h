// The tables of packs and sessions that the index keeps in memory: a row per 64 MiB, a row per
// backup.
#ifndef EMBER_COMMON_VAULT_PACK_TABLE_H_
#define EMBER_COMMON_VAULT_PACK_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/vault/chunk_index.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

struct PackRow {
  std::string name;
  uint64_t size = 0;
  uint32_t epoch = 0;
  uint64_t record_bytes = 0;       // headers and payloads
  std::vector<uint32_t> sessions;  // numbers
  bool retired = false;            // only in memory, for readers that hold it

  std::string Encode() const;
  static absl::StatusOr<PackRow> Decode(absl::string_view value);
};

// Safe for concurrent use. Numbers are given by one writer at a time; they rise, and none is given
// twice.
class PackTable {
 public:
  // As stored. DATA_LOSS when a pack names a session that was not added before.
  void AddSession(uint32_t number, format::v1::PackSession session);
  absl::Status AddPack(uint32_t number, PackRow row);

  bool Knows(absl::string_view name);
  // The pack's number, or the next free one.
  uint32_t NumberOf(absl::string_view name);
  struct Numbered {
    std::vector<uint32_t> numbers;                        // of the footer's sessions, in its order
    std::map<uint32_t, format::v1::PackSession> changed;  // new ones, and completed ones
  };
  Numbered NumberSessions(const format::v1::PackFooter& table);
  // The sessions that no pack names once `gone` are, and that are not in `kept`.
  std::vector<uint32_t> LastSessions(const std::set<uint32_t>& gone,
                                     const std::vector<uint32_t>& kept);
  // The packs stay known by number.
  void Retire(const std::set<uint32_t>& gone, const std::vector<uint32_t>& last_sessions);

  // As in ChunkIndex.
  uint32_t HighestEpoch();
  std::vector<ChunkIndex::PackFacts> Packs();
  ChunkIndex::PackFacts PackOf(uint32_t number);
  std::vector<std::string> PackNames();
  format::v1::PackSession SessionOf(uint32_t number);
  std::optional<format::v1::PackSession> FindSession(absl::string_view session_id);
  ChunkIndex::SessionPacks PacksOf(absl::string_view session_id);
  bool HasDomain(absl::string_view domain_id);

 private:
  absl::Mutex mu_;
  std::map<uint32_t, PackRow> packs_ ABSL_GUARDED_BY(mu_);
  std::map<uint32_t, format::v1::PackSession> sessions_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint32_t> pack_numbers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint32_t> session_numbers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, std::set<uint32_t>> packs_of_session_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> domains_ ABSL_GUARDED_BY(mu_);
  uint32_t next_pack_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t next_session_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PACK_TABLE_H_
