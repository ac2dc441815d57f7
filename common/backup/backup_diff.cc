#include "common/backup/backup_diff.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/backup/backup_writer.h"
#include "common/backup/entry_path.h"
#include "common/backup/manifest_diff.h"
#include "common/backup/manifest_reader.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;
using format::v1::Extent;

// Ends the comparison behind the subtree that was asked for.
absl::Status Enough() { return absl::OutOfRangeError("behind the wanted subtree"); }

ManifestSide SideOf(RestoreReader* reader) {
  return {.root = reader->manifest_root(),
          .fetch = [reader](const std::vector<RecordId>& ids) { return reader->Fetch(ids); }};
}

Entry WithoutContent(Entry entry) {
  entry.clear_extents();
  entry.clear_inline_content();
  entry.clear_more_parts();
  entry.clear_hole_bytes();
  return entry;
}

bool SameExtents(const Entry& a, const Entry& b) {
  return std::equal(a.extents().begin(), a.extents().end(), b.extents().begin(), b.extents().end(),
                    [](const Extent& x, const Extent& y) {
                      return x.SerializeAsString() == y.SerializeAsString();
                    });
}

// What is not content, and a restore would bring back.
std::string AttributesOf(Entry entry) {
  entry = WithoutContent(std::move(entry));
  entry.clear_ctime_seconds();
  entry.clear_ctime_nanos();
  entry.clear_atime_seconds();
  entry.clear_atime_nanos();
  return entry.SerializeAsString();
}

class Comparison {
 public:
  Comparison(RestoreReader* before, RestoreReader* after,
             const std::function<absl::Status(const FileChange&)>& sink)
      : before_(before), after_(after), sink_(sink) {}

  absl::Status Take(const Entry* before, const Entry* after) {
    const Entry& any = before != nullptr ? *before : *after;
    if (any.path() != path_) EMBER_RETURN_IF_ERROR(Flush());
    path_ = any.path();
    pending_ = true;
    if (any.part() > 0) {
      later_parts_ = true;
      return absl::OkStatus();
    }
    if (before != nullptr) old_ = *before;
    if (after != nullptr) new_ = *after;
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (!std::exchange(pending_, false)) return absl::OkStatus();
    std::optional<Entry> before = std::exchange(old_, std::nullopt);
    std::optional<Entry> after = std::exchange(new_, std::nullopt);
    const bool later_parts = std::exchange(later_parts_, false);
    // The first part is the same on both sides.
    if (!before && !after) {
      EMBER_ASSIGN_OR_RETURN(before, FirstPart());
      after = before;
    }
    FileChange change;
    if (!before) {
      change.kind = FileChange::Kind::kAdded;
    } else if (!after) {
      change.kind = FileChange::Kind::kRemoved;
    } else {
      EMBER_ASSIGN_OR_RETURN(const bool same, SameContent(*before, *after));
      if (!later_parts && same) {
        if (AttributesOf(*before) == AttributesOf(*after)) return absl::OkStatus();
        change.kind = FileChange::Kind::kAttributes;
      }
    }
    if (before) *before = WithoutContent(*std::move(before));
    if (after) *after = WithoutContent(*std::move(after));
    change.before = before ? &*before : nullptr;
    change.after = after ? &*after : nullptr;
    return sink_(change);
  }

 private:
  absl::StatusOr<std::optional<Entry>> FirstPart() {
    ManifestReader reader(
        after_->manifest_root(), PathFilter({path_}),
        [this](const std::vector<RecordId>& ids) { return after_->Fetch(ids); }, nullptr);
    Entry entry;
    EMBER_ASSIGN_OR_RETURN(const bool found, reader.Next(&entry));
    if (!found || entry.path() != path_)
      return absl::DataLossError("a part of an entry has no beginning");
    return entry;
  }

  absl::StatusOr<bool> SameContent(const Entry& a, const Entry& b) {
    if (a.type() != b.type() || a.size() != b.size() || a.symlink() != b.symlink() ||
        a.hardlink_to() != b.hardlink_to() || a.device() != b.device()) {
      return false;
    }
    if (a.inline_content() == b.inline_content() && SameExtents(a, b)) return true;
    if (a.size() > static_cast<int64_t>(kGroupedFileBytesMax)) return false;
    EMBER_ASSIGN_OR_RETURN(const std::string before, SmallContent(before_, a, &before_record_));
    EMBER_ASSIGN_OR_RETURN(const std::string after, SmallContent(after_, b, &after_record_));
    return before == after;
  }

  // A record that was read last: neighbours lie in it, too.
  struct Last {
    RecordId id{};
    std::string bytes;
  };
  static absl::StatusOr<std::string> SmallContent(RestoreReader* reader, const Entry& entry,
                                                  Last* last) {
    if (!entry.inline_content().empty()) return entry.inline_content();
    EMBER_RETURN_IF_ERROR(ValidateExtents(entry, 0, entry.size()));
    std::string content(static_cast<size_t>(entry.size()), '\0');
    for (const Extent& extent : entry.extents()) {
      RecordId id;
      if (!ParseRecordId(extent.id(), &id)) return absl::DataLossError("an id has not 32 bytes");
      if (last->bytes.empty() || last->id != id) {
        absl::StatusOr<PlainRecord> record = std::move(reader->Fetch({id}).at(0));
        EMBER_RETURN_IF_ERROR(record.status());
        *last = {.id = id, .bytes = std::move(record->bytes)};
      }
      if (extent.start() + extent.length() > static_cast<int64_t>(last->bytes.size()))
        return absl::DataLossError("an extent reaches beyond its record");
      content.replace(static_cast<size_t>(extent.offset()), static_cast<size_t>(extent.length()),
                      last->bytes, static_cast<size_t>(extent.start()),
                      static_cast<size_t>(extent.length()));
    }
    return content;
  }

  RestoreReader* const before_;
  RestoreReader* const after_;
  const std::function<absl::Status(const FileChange&)>& sink_;
  bool pending_ = false;
  std::string path_;
  std::optional<Entry> old_, new_;  // their first parts
  bool later_parts_ = false;        // of which some differ
  Last before_record_, after_record_;
};

}  // namespace

absl::Status DiffBackups(RestoreReader* before, RestoreReader* after, const DiffOptions& options,
                         const std::function<absl::Status(const FileChange&)>& sink) {
  Comparison comparison(before, after, sink);
  const std::string& from = PathLess(options.path, options.after) ? options.after : options.path;
  const absl::Status compared = DiffManifests(
      SideOf(before), SideOf(after), from, [&](const Entry* old_entry, const Entry* new_entry) {
        const std::string& path = (old_entry != nullptr ? *old_entry : *new_entry).path();
        if (!options.after.empty() && path == options.after) return absl::OkStatus();
        if (!options.path.empty() && !IsWithin(path, options.path)) return Enough();
        return comparison.Take(old_entry, new_entry);
      });
  if (!compared.ok() && !absl::IsOutOfRange(compared)) return compared;
  return comparison.Flush();
}

}  // namespace ember::backup
