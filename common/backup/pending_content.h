// The content of a file on its way into the manifest: extents whose ids are still being computed.
#ifndef EMBER_COMMON_BACKUP_PENDING_CONTENT_H_
#define EMBER_COMMON_BACKUP_PENDING_CONTENT_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/backup/backup_writer.h"
#include "common/backup/record.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

// A record that several small files share. `id` is set before `resolved`.
struct Group {
  std::string bytes;  // until it is closed
  RecordId id{};
  std::atomic<bool> resolved{false};
};

// An extent in 48 bytes: a terabyte of one file has three million.
struct Slot {
  int64_t offset = 0;
  uint32_t length = 0;
  uint32_t start = 0;
  RecordId id{};
};

struct PendingContent {
  std::string inline_content;
  std::deque<Slot> slots;             // a deque: slots stay where they are while others are added
  std::shared_ptr<Group> group;       // when set, of all slots
  std::atomic<size_t> unresolved{0};  // slots whose id is not known yet
  bool resolved() const {
    return unresolved.load() == 0 && (group == nullptr || group->resolved.load());
  }
};

// Waits for its turn in the manifest.
struct PendingEntry {
  format::v1::Entry entry;
  SourceStamp stamp;
  bool cacheable = false;
  std::shared_ptr<PendingContent> content;  // null: none but what `entry` has
  bool resolved() const { return content == nullptr || content->resolved(); }
  // Of its extents, wherever they are.
  size_t slots() const {
    return content == nullptr ? static_cast<size_t>(entry.extents_size()) : content->slots.size();
  }
};

// Moves the content into `entry`, in parts of at most kPartExtentsMax extents that end at ids
// rather than at counts, so that a change in a large file changes few parts. Calls `add` for each
// part, in order.
absl::Status EmitParts(PendingEntry pending,
                       const std::function<absl::Status(const format::v1::Entry& part)>& add);

// A content from cached parts; null when they do not make sense for a file of `size`.
std::shared_ptr<PendingContent> ContentOfParts(const std::vector<format::v1::Entry>& parts,
                                               int64_t size);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_PENDING_CONTENT_H_
