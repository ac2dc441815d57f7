#include "common/backup/manifest_diff.h"

#include <string>
#include <utility>
#include <vector>

#include "common/backup/backup_writer.h"
#include "common/backup/manifest_record.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Child;
using format::v1::Entry;
using format::v1::ManifestLeaf;
using format::v1::ManifestNode;

// A place in a manifest: before an entry, before a record that was not read, or at the end.
class Cursor {
 public:
  enum class At { kEntry, kRecord, kEnd };

  Cursor(const ManifestSide& side, absl::string_view from) : side_(side), from_(from) {}

  absl::Status Begin() { return Enter(side_.root, 0); }

  At at() const {
    if (next_entry_ < leaf_.entries_size()) return At::kEntry;
    return frames_.empty() ? At::kEnd : At::kRecord;
  }
  const Entry& entry() const { return leaf_.entries(next_entry_); }
  const Child& record() const { return frames_.back().node.children(frames_.back().next); }
  // Of the record: 0 is a leaf.
  uint32_t level() const { return frames_.back().node.level() - 1; }
  // Of what is next.
  const std::string& path() const {
    return at() == At::kEntry ? entry().path() : record().first_path();
  }

  void Skip() {
    if (at() == At::kEntry) {
      ++next_entry_;
    } else {
      ++frames_.back().next;
    }
    LeaveEnded();
  }

  // Replaces the record by what is in it.
  absl::Status Descend() {
    RecordId id;
    ParseRecordId(record().id(), &id);  // checked by ParseManifestNode
    const uint32_t level = frames_.back().node.level();
    ++frames_.back().next;
    return Enter(id, level);
  }

 private:
  struct Frame {
    ManifestNode node;
    int next = 0;
  };

  // `parent`: its level; 0: it is the root.
  absl::Status Enter(const RecordId& id, uint32_t parent) {
    const absl::StatusOr<PlainRecord> record = std::move(side_.fetch({id}).at(0));
    EMBER_RETURN_IF_ERROR(record.status());
    if (record->type == RecordType::LEAF && parent <= 1) {
      EMBER_RETURN_IF_ERROR(EnterLeaf(record->bytes));
    } else if (record->type == RecordType::NODE && parent != 1) {
      EMBER_RETURN_IF_ERROR(EnterNode(record->bytes, parent));
    } else {
      return BadManifest("a record is of another type");
    }
    LeaveEnded();
    return absl::OkStatus();
  }

  absl::Status EnterLeaf(const std::string& bytes) {
    EMBER_ASSIGN_OR_RETURN(leaf_, ParseManifestLeaf(bytes));
    next_entry_ = 0;
    while (next_entry_ < leaf_.entries_size() && PathLess(entry().path(), from_)) ++next_entry_;
    return absl::OkStatus();
  }

  absl::Status EnterNode(const std::string& bytes, uint32_t parent) {
    Frame frame;
    EMBER_ASSIGN_OR_RETURN(frame.node, ParseManifestNode(bytes, parent == 0 ? 0 : parent - 1));
    const ManifestNode& node = frame.node;
    // What lies between two children lies in the first of them.
    while (frame.next + 1 < node.children_size() &&
           PathLess(node.children(frame.next + 1).first_path(), from_)) {
      ++frame.next;
    }
    frames_.push_back(std::move(frame));
    return absl::OkStatus();
  }

  void LeaveEnded() {
    if (next_entry_ < leaf_.entries_size()) return;
    while (!frames_.empty() && frames_.back().next >= frames_.back().node.children_size())
      frames_.pop_back();
  }

  const ManifestSide& side_;
  const absl::string_view from_;
  std::vector<Frame> frames_;
  ManifestLeaf leaf_;
  int next_entry_ = 0;
};

using At = Cursor::At;

// Negative: what `a` is at comes first.
int Compare(const std::string& a, const std::string& b) {
  return PathLess(a, b) ? -1 : PathLess(b, a) ? 1 : 0;
}

// Which of two places is to be read further: neither is a pair of entries or the same record, and
// one is a record. The earlier one, so that what follows it on the other side can still turn out to
// be the same; of two that begin alike the higher one.
Cursor& ToRead(Cursor& a, Cursor& b) {
  if (b.at() != At::kRecord) return a;
  if (a.at() != At::kRecord) return b;
  const int order = Compare(a.path(), b.path());
  if (order != 0) return order < 0 ? a : b;
  return a.level() >= b.level() ? a : b;
}

// Is what `cursor` is at an entry that the other side, which is at `other`, cannot have?
bool IsAlone(const Cursor& cursor, const Cursor& other) {
  if (cursor.at() != At::kEntry) return false;
  return other.at() == At::kEnd ||
         (other.at() == At::kRecord && PathLess(cursor.path(), other.path()));
}

absl::Status CompareEntries(Cursor& a, Cursor& b, const ManifestChangeSink& sink) {
  const Entry& before = a.entry();
  const Entry& after = b.entry();
  int order = Compare(before.path(), after.path());
  if (order == 0) order = before.part() < after.part() ? -1 : before.part() > after.part() ? 1 : 0;
  if (order != 0 || before.SerializeAsString() != after.SerializeAsString())
    EMBER_RETURN_IF_ERROR(sink(order <= 0 ? &before : nullptr, order >= 0 ? &after : nullptr));
  if (order <= 0) a.Skip();
  if (order >= 0) b.Skip();
  return absl::OkStatus();
}

}  // namespace

absl::Status DiffManifests(const ManifestSide& before, const ManifestSide& after,
                           absl::string_view from, const ManifestChangeSink& sink) {
  if (before.root == after.root) return absl::OkStatus();
  Cursor a(before, from), b(after, from);
  EMBER_RETURN_IF_ERROR(a.Begin());
  EMBER_RETURN_IF_ERROR(b.Begin());
  while (a.at() != At::kEnd || b.at() != At::kEnd) {
    if (a.at() == At::kEntry && b.at() == At::kEntry) {
      EMBER_RETURN_IF_ERROR(CompareEntries(a, b, sink));
    } else if (IsAlone(a, b)) {
      EMBER_RETURN_IF_ERROR(sink(&a.entry(), nullptr));
      a.Skip();
    } else if (IsAlone(b, a)) {
      EMBER_RETURN_IF_ERROR(sink(nullptr, &b.entry()));
      b.Skip();
    } else if (a.at() == At::kRecord && b.at() == At::kRecord &&
               a.record().id() == b.record().id()) {
      a.Skip();
      b.Skip();
    } else {
      EMBER_RETURN_IF_ERROR(ToRead(a, b).Descend());
    }
  }
  return absl::OkStatus();
}

}  // namespace ember::backup
