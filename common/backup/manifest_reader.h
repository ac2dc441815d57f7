// Reads the manifest in path order, trusting nothing in it.
#ifndef EMBER_COMMON_BACKUP_MANIFEST_READER_H_
#define EMBER_COMMON_BACKUP_MANIFEST_READER_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/entry_path.h"
#include "common/backup/manifest.h"
#include "common/backup/record.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

// An opened record.
struct PlainRecord {
  RecordType::Value type = RecordType::UNKNOWN;
  std::string bytes;
};

// Use from one thread. Every error about the manifest's content is DATA_LOSS; others are those of
// `fetch`.
class ManifestReader {
 public:
  // The records of `ids`, in their order.
  using Fetch =
      std::function<std::vector<absl::StatusOr<PlainRecord>>(const std::vector<RecordId>& ids)>;
  // A damaged part of the tree: what is lost starts at `first_path`. OK goes on behind it; an error
  // ends the reading.
  using OnDamage =
      std::function<absl::Status(const std::string& first_path, const absl::Status& why)>;

  // `fetch` is called with kManifestFetchBatch ids at most. An empty `on_damage` ends at the first
  // damage.
  ManifestReader(const RecordId& root, PathFilter filter, Fetch fetch, OnDamage on_damage);

  // The next wanted entry, or part of one (Entry.part); false at the end. Entries are valid: types,
  // paths, order, extents within the file and within kRecordBytesMax, ids of 32 bytes.
  absl::StatusOr<bool> Next(format::v1::Entry* entry);

 private:
  struct Loaded {
    int child = 0;
    absl::StatusOr<PlainRecord> record;
  };
  struct Frame {
    format::v1::ManifestNode node;
    int next = 0;               // child to be asked for next
    std::deque<Loaded> loaded;  // asked for, not yet entered
    std::string last_path;      // nothing below is after it
    bool has_last_path = false;
  };
  absl::Status Start();
  absl::Status Descend(bool* leaf_ready);
  absl::Status EnterChild(int child, absl::StatusOr<PlainRecord> record);
  absl::Status EnterNode(const std::string& bytes, uint32_t level_max,
                         const format::v1::Child* self);
  absl::Status EnterLeaf(const std::string& bytes, const format::v1::Child* self);
  absl::Status LoadChildren(Frame& frame);
  absl::Status CheckTotals(const ManifestTotals& totals, const std::string& first_path,
                           const format::v1::Child& self) const;
  absl::Status Damage(const std::string& first_path, const absl::Status& why);

  const RecordId root_;
  const PathFilter filter_;
  const Fetch fetch_;
  const OnDamage on_damage_;
  bool started_ = false;
  std::vector<Frame> frames_;
  format::v1::ManifestLeaf leaf_;
  int leaf_next_ = 0;
  // What the next leaf must continue: the last entry seen, wanted or not.
  struct Last {
    bool any = false;
    std::string path;
    uint32_t part = 0;
    bool more = false;    // parts must follow
    int64_t size = 0;     // of the file
    int64_t end = 0;      // of its extents so far
    bool orphan = false;  // its beginning was left out
  };
  absl::Status CheckNext(const format::v1::Entry& entry, bool after_gap, Last* last) const;
  Last last_;
  bool gap_ = false;      // something was left out since the last leaf
  bool orphans_ = false;  // parts of an orphan come first in leaf_
};

// OK when the extents of `entry` are ascending from `start` on, within `size` and within their
// records.
absl::Status ValidateExtents(const format::v1::Entry& entry, int64_t start, int64_t size);
// OK when `entry`, not a later part, is sane by itself.
absl::Status ValidateEntry(const format::v1::Entry& entry);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_MANIFEST_READER_H_
