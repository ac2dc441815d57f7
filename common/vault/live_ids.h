// The ids that backups need, all reference sets merged, a range of ids at a time so that memory is
// bounded whatever their number and size. Ids are keyed hashes, so ranges of equal width hold about
// as many; where somebody chose them, a range is cut shorter.
#ifndef EMBER_COMMON_VAULT_LIVE_IDS_H_
#define EMBER_COMMON_VAULT_LIVE_IDS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/job.h"
#include "common/vault/object_store.h"
#include "common/vault/stored_backups.h"

namespace ember::vault {

// The first 16 bytes of an id, as the index has them, in the order of the bytes.
absl::uint128 PrefixOf(absl::string_view id);

// Not thread-safe.
class LiveIds {
 public:
  // Reads every reference set in the vault once, whether its backup is committed, in the trash,
  // damaged or being committed. `bytes_max`: of the ids of a range; at least 64.
  static absl::StatusOr<std::unique_ptr<LiveIds>> Open(ObjectStore& store, StoredBackups& backups,
                                                       const JobContext& context, size_t bytes_max);

  // Domains of which a reference set is missing or damaged: what they need is not known.
  const std::set<std::string>& unknown_domains() const { return unknown_domains_; }
  // A sentence for each of those sets.
  const std::vector<std::string>& problems() const { return problems_; }

  struct Range {
    std::string from;  // prefix
    std::string to;    // first prefix beyond; "": none
  };
  // The next range; nothing after the last one, which has no end.
  absl::StatusOr<std::optional<Range>> Next();
  // The prefixes of the range, ascending, each once.
  const std::vector<absl::uint128>& ids() const { return ids_; }

 private:
  struct RefSet {
    std::string object;
    uint64_t next = 0;   // number of the first id that is not below the current range
    uint64_t count = 0;  // of ids
  };

  LiveIds(ObjectStore& store, size_t bytes_max) : store_(store), ids_max_(bytes_max / 16) {}
  absl::Status Add(const std::string& tail, const std::string& refs_sha256);
  std::optional<absl::uint128> PlanEnd() const;
  // Adds the ids of `set` below `end`. False when they do not fit.
  absl::StatusOr<bool> Collect(RefSet& set, const std::optional<absl::uint128>& end);
  absl::StatusOr<bool> CollectAll(const std::optional<absl::uint128>& end);
  void SortIds();

  ObjectStore& store_;
  const size_t ids_max_;
  std::vector<RefSet> sets_;
  std::set<std::string> unknown_domains_;
  std::vector<std::string> problems_;
  std::vector<absl::uint128> ids_;
  absl::uint128 from_ = 0;
  bool done_ = false;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_LIVE_IDS_H_
