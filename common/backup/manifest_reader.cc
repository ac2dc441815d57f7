#include "common/backup/manifest_reader.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/backup/manifest_record.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Child;
using format::v1::Entry;
using format::v1::EntryType;
using format::v1::Extent;

constexpr int64_t kRecordMax = kRecordBytesMax;

ManifestTotals TotalsOf(const Child& child) {
  ManifestTotals totals;
  totals.Add(child);
  return totals;
}

}  // namespace

absl::Status ValidateExtents(const Entry& entry, int64_t start, int64_t size) {
  int64_t at = start;
  for (const Extent& extent : entry.extents()) {
    if (extent.length() <= 0 || extent.length() > kRecordMax || extent.start() < 0 ||
        extent.start() > kRecordMax - extent.length()) {
      return BadManifest("an extent is not within its record");
    }
    if (extent.offset() < at || extent.offset() > size - extent.length()) {
      return BadManifest("an extent is out of order or not within its file");
    }
    if (extent.id().size() != std::tuple_size_v<RecordId>)
      return BadManifest("an extent's id has not 32 bytes");
    at = extent.offset() + extent.length();
  }
  return absl::OkStatus();
}

absl::Status ValidateEntry(const Entry& entry) {
  if (!ValidateEntryPath(entry.path()).ok()) return BadManifest("a path leaves its tree");
  if (entry.type() <= EntryType::UNKNOWN || entry.type() > EntryType::BLOCK)
    return BadManifest("an entry has no known type");
  if (entry.size() < 0) return BadManifest("a size is negative");
  const bool has_content = entry.extents_size() > 0 || !entry.inline_content().empty();
  if (has_content && (entry.type() != EntryType::FILE || !entry.hardlink_to().empty())) {
    return BadManifest("an entry has content that cannot have any");
  }
  if (!entry.hardlink_to().empty() &&
      (entry.type() == EntryType::DIRECTORY || !ValidateEntryPath(entry.hardlink_to()).ok() ||
       !PathLess(entry.hardlink_to(), entry.path()))) {
    return BadManifest("a hard link does not name an entry before it");
  }
  if (!entry.inline_content().empty() &&
      (entry.extents_size() > 0 ||
       static_cast<int64_t>(entry.inline_content().size()) != entry.size())) {
    return BadManifest("an inline content has not the size of its file");
  }
  return ValidateExtents(entry, 0, entry.size());
}

ManifestReader::ManifestReader(const RecordId& root, PathFilter filter, Fetch fetch,
                               OnDamage on_damage)
    : root_(root),
      filter_(std::move(filter)),
      fetch_(std::move(fetch)),
      on_damage_(std::move(on_damage)) {}

absl::Status ManifestReader::Damage(const std::string& first_path, const absl::Status& why) {
  if (!absl::IsDataLoss(why) || !on_damage_) return why;
  gap_ = true;
  return on_damage_(first_path, why);
}

absl::Status ManifestReader::Start() {
  started_ = true;
  absl::StatusOr<PlainRecord> root = std::move(fetch_({root_}).at(0));
  absl::Status status = root.status();
  if (status.ok() && root->type == RecordType::LEAF) {
    status = EnterLeaf(root->bytes, nullptr);
  } else if (status.ok() && root->type == RecordType::NODE) {
    status = EnterNode(root->bytes, 0, nullptr);
  } else if (status.ok()) {
    status = BadManifest("its root is of another type");
  }
  return status.ok() ? status : Damage("", status);
}

absl::StatusOr<bool> ManifestReader::Next(Entry* entry) {
  if (!started_) EMBER_RETURN_IF_ERROR(Start());
  while (true) {
    while (leaf_next_ < leaf_.entries_size()) {
      Entry* next = leaf_.mutable_entries(leaf_next_++);
      orphans_ = orphans_ && next->part() > 0;
      if (orphans_ || !filter_.Wants(next->path())) continue;
      *entry = std::move(*next);
      return true;
    }
    leaf_.Clear();
    leaf_next_ = 0;
    bool leaf_ready = false;
    EMBER_RETURN_IF_ERROR(Descend(&leaf_ready));
    if (!leaf_ready) break;
  }
  if (last_.more && !gap_)
    EMBER_RETURN_IF_ERROR(
        Damage(last_.path, BadManifest("the last parts of an entry are missing")));
  return false;
}

// Moves to the next leaf; `leaf_ready` stays false at the end of the tree.
absl::Status ManifestReader::Descend(bool* leaf_ready) {
  while (!frames_.empty()) {
    Frame& top = frames_.back();
    if (top.loaded.empty()) EMBER_RETURN_IF_ERROR(LoadChildren(top));
    if (top.loaded.empty()) {
      frames_.pop_back();
      continue;
    }
    Loaded next = std::move(top.loaded.front());
    top.loaded.pop_front();
    const std::string first_path = top.node.children(next.child).first_path();
    const absl::Status entered = EnterChild(next.child, std::move(next.record));
    if (!entered.ok()) {
      EMBER_RETURN_IF_ERROR(Damage(first_path, entered));
    } else if (leaf_.entries_size() > 0) {
      *leaf_ready = true;
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::Status ManifestReader::LoadChildren(Frame& frame) {
  // Whole leaves ahead are cheap; nodes lead to much more than will be needed soon.
  const size_t batch = frame.node.level() == 1 ? kManifestFetchBatch : 1;
  std::vector<RecordId> ids;
  const int count = frame.node.children_size();
  for (; frame.next < count && ids.size() < batch; ++frame.next) {
    const Child& child = frame.node.children(frame.next);
    const std::string* last = frame.next + 1 < count
                                  ? &frame.node.children(frame.next + 1).first_path()
                              : frame.has_last_path ? &frame.last_path
                                                    : nullptr;
    if (!filter_.MayWantBetween(child.first_path(), last)) {
      if (ids.empty()) gap_ = true;
      if (!ids.empty())
        break;  // what is loaded must be contiguous, so that a gap is noticed where it is
      continue;
    }
    RecordId id;
    ParseRecordId(child.id(), &id);  // checked by EnterNode
    ids.push_back(id);
    frame.loaded.push_back({frame.next, absl::UnknownError("not loaded")});
  }
  if (ids.empty()) return absl::OkStatus();
  std::vector<absl::StatusOr<PlainRecord>> records = fetch_(ids);
  for (size_t i = 0; i < frame.loaded.size(); ++i)
    frame.loaded[i].record = std::move(records.at(i));
  return absl::OkStatus();
}

absl::Status ManifestReader::EnterChild(int child, absl::StatusOr<PlainRecord> record) {
  EMBER_RETURN_IF_ERROR(record.status());
  const Frame& parent = frames_.back();
  const Child self = parent.node.children(child);
  const uint32_t level = parent.node.level();
  if (record->type != (level == 1 ? RecordType::LEAF : RecordType::NODE))
    return BadManifest("a record is of another type");
  if (level == 1) return EnterLeaf(record->bytes, &self);
  const bool has_next = child + 1 < parent.node.children_size();
  const bool has_last_path = has_next || parent.has_last_path;
  std::string last_path =
      has_next ? parent.node.children(child + 1).first_path() : parent.last_path;
  EMBER_RETURN_IF_ERROR(EnterNode(record->bytes, level - 1, &self));
  frames_.back().has_last_path = has_last_path;
  frames_.back().last_path = std::move(last_path);
  return absl::OkStatus();
}

absl::Status ManifestReader::CheckTotals(const ManifestTotals& totals,
                                         const std::string& first_path, const Child& self) const {
  if (!(totals == TotalsOf(self)) || first_path != self.first_path()) {
    return BadManifest("a record is not what its parent says");
  }
  return absl::OkStatus();
}

// `level` 0: any, for the root.
absl::Status ManifestReader::EnterNode(const std::string& bytes, uint32_t level,
                                       const Child* self) {
  Frame frame;
  EMBER_ASSIGN_OR_RETURN(frame.node, ParseManifestNode(bytes, level));
  const format::v1::ManifestNode& node = frame.node;
  ManifestTotals totals;
  for (const Child& child : node.children()) totals.Add(child);
  if (self != nullptr)
    EMBER_RETURN_IF_ERROR(CheckTotals(totals, node.children(0).first_path(), *self));
  frames_.push_back(std::move(frame));
  return absl::OkStatus();
}

absl::Status ManifestReader::CheckNext(const Entry& entry, bool after_gap, Last* last) const {
  if (entry.part() == 0) {
    EMBER_RETURN_IF_ERROR(ValidateEntry(entry));
    if (last->any && !PathLess(last->path, entry.path()))
      return BadManifest("entries out of order");
    if (last->more && !after_gap) return BadManifest("parts of an entry are missing");
    last->size = entry.size();
    last->end = 0;
    last->orphan = false;
  } else {
    const bool follows =
        last->any && last->more && entry.path() == last->path && entry.part() == last->part + 1;
    if (!follows && !after_gap)
      return BadManifest("a part of an entry does not follow the one before it");
    if (!follows) {
      if (last->any && PathLess(entry.path(), last->path))
        return BadManifest("entries out of order");
      last->size = std::numeric_limits<int64_t>::max();  // unknown: it will not be delivered
      last->end = 0;
      last->orphan = true;
    }
    EMBER_RETURN_IF_ERROR(ValidateExtents(entry, last->end, last->size));
  }
  if (entry.extents_size() > 0) {
    const Extent& extent = entry.extents(entry.extents_size() - 1);
    last->end = extent.offset() + extent.length();
  }
  last->any = true;
  last->path = entry.path();
  last->part = entry.part();
  last->more = entry.more_parts();
  return absl::OkStatus();
}

absl::Status ManifestReader::EnterLeaf(const std::string& bytes, const Child* self) {
  EMBER_ASSIGN_OR_RETURN(format::v1::ManifestLeaf leaf, ParseManifestLeaf(bytes));
  if (self != nullptr && leaf.entries_size() == 0) return BadManifest("a leaf is empty");
  ManifestTotals totals;
  Last last = last_;
  bool orphans = false;
  for (int i = 0; i < leaf.entries_size(); ++i) {
    const Entry& entry = leaf.entries(i);
    EMBER_RETURN_IF_ERROR(CheckNext(entry, i == 0 && gap_, &last));
    if (i == 0) orphans = last.orphan;
    totals.Add(entry);
  }
  if (self != nullptr) EMBER_RETURN_IF_ERROR(CheckTotals(totals, leaf.entries(0).path(), *self));
  leaf_ = std::move(leaf);
  leaf_next_ = 0;
  last_ = std::move(last);
  orphans_ = orphans;
  gap_ = false;
  return absl::OkStatus();
}

}  // namespace ember::backup
