#include "common/backup/pending_content.h"

#include <utility>

#include "common/backup/manifest_reader.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;

bool EndsPart(const RecordId& id) {
  uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(id[i]);
  return number % kPartBoundary == 0;
}

}  // namespace

absl::Status EmitParts(PendingEntry pending,
                       const std::function<absl::Status(const Entry& part)>& add) {
  Entry part = std::move(pending.entry);
  if (pending.content == nullptr) return add(part);
  PendingContent& content = *pending.content;
  if (!content.inline_content.empty()) part.set_inline_content(content.inline_content);
  for (size_t i = 0; i < content.slots.size(); ++i) {
    Slot& slot = content.slots[i];
    if (content.group != nullptr) slot.id = content.group->id;
    format::v1::Extent* extent = part.add_extents();
    extent->set_offset(slot.offset);
    extent->set_length(slot.length);
    extent->set_start(slot.start);
    extent->set_id(slot.id.data(), slot.id.size());
    const bool last = i + 1 == content.slots.size();
    const bool grouped = content.group != nullptr;  // one id for all: only the count can end a part
    if (last || ((grouped || !EndsPart(slot.id)) &&
                 static_cast<size_t>(part.extents_size()) < kPartExtentsMax))
      continue;
    Entry next;
    next.set_path(part.path());
    next.set_part(part.part() + 1);
    part.set_more_parts(true);
    EMBER_RETURN_IF_ERROR(add(std::exchange(part, std::move(next))));
  }
  return add(part);
}

std::shared_ptr<PendingContent> ContentOfParts(const std::vector<Entry>& parts, int64_t size) {
  auto content = std::make_shared<PendingContent>();
  int64_t end = 0;
  for (const Entry& part : parts) {
    if (!ValidateExtents(part, end, size).ok()) return nullptr;
    for (const format::v1::Extent& extent : part.extents()) {
      Slot slot;
      slot.offset = extent.offset();
      slot.length = static_cast<uint32_t>(extent.length());
      slot.start = static_cast<uint32_t>(extent.start());
      ParseRecordId(extent.id(), &slot.id);
      content->slots.push_back(slot);
      end = extent.offset() + extent.length();
    }
    content->inline_content += part.inline_content();
  }
  const bool is_inline = !content->inline_content.empty();
  if (is_inline &&
      (!content->slots.empty() || static_cast<int64_t>(content->inline_content.size()) != size)) {
    return nullptr;
  }
  return content;
}

}  // namespace ember::backup
