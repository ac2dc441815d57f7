// Writes the manifest: a Merkle search tree whose boundaries depend on names only, so that a change
// of one file rewrites one leaf and its spine, and equal trees share their records (Auvolat &
// Taïani, SRDS'19, for the idea).
//
// A leaf ends after an entry when HMAC(K_cut, "leaf" ‖ path) mod kLeafBoundary is 0, before an
// entry that would take it over kLeafBytesMax, and after a part of an entry that has more parts. A
// node ends in the same manner, by HMAC(K_cut, "node" ‖ level byte ‖ first path of the child), or
// at kNodeChildrenMax children.
#ifndef EMBER_COMMON_BACKUP_MANIFEST_H_
#define EMBER_COMMON_BACKUP_MANIFEST_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/backup/record.h"
#include "common/crypto/hmac_batch.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

inline constexpr uint32_t kManifestVersion = 1;

// First 8 bytes of HMAC(key, label ‖ name), little-endian: decides boundaries that depend on names.
uint64_t KeyedNumber(const HmacSha256Key& key, absl::string_view label, absl::string_view name);

// `entry` as it stands in a leaf: the bytes of a leaf are its version's and those of its entries,
// one after the other.
std::string EncodeInLeaf(const format::v1::Entry& entry);

// What an entry adds to the totals. Later parts and further names of an inode add no bytes.
struct ManifestTotals {
  uint64_t entries = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;
  void Add(const format::v1::Entry& entry);
  void Add(const format::v1::Child& child);
  bool operator==(const ManifestTotals&) const = default;
};

// Keeps one open leaf and one open node per level. Use from one thread.
class ManifestBuilder {
 public:
  // Stores a finished record (LEAF or NODE) and returns its id.
  using Store = std::function<absl::StatusOr<RecordId>(RecordType::Value type, std::string bytes)>;
  ManifestBuilder(absl::string_view cut_key, Store store);

  // `entry`: PathLess-after the last one, or its next part. `encoded`: EncodeInLeaf of it.
  absl::Status Add(const format::v1::Entry& entry, absl::string_view encoded);
  // The root: a NODE, or a LEAF when there is only one leaf. Once.
  absl::StatusOr<RecordId> Finish();
  const ManifestTotals& totals() const { return totals_; }

 private:
  struct Level {
    format::v1::ManifestNode node;
    size_t bytes = 0;
    bool full =
        false;  // ends before the next child; not at once, so that a lone child can be the root
  };
  absl::Status CloseLeaf();
  absl::Status CloseNode(size_t level);
  absl::Status AddChild(size_t level, format::v1::Child child);

  // The open leaf.
  struct Leaf {
    std::string bytes;  // empty: without an entry
    std::string first_path;
    ManifestTotals totals;
    size_t size = 0;  // what kLeafBytesMax bounds
  };

  const HmacSha256Key cut_key_;
  const Store store_;
  ManifestTotals totals_;
  Leaf leaf_;
  std::vector<Level> levels_;  // [0] holds leaves
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_MANIFEST_H_
