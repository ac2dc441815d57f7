#include "common/backup/group_packer.h"

#include <utility>

#include "common/backup/manifest.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {

GroupPacker::GroupPacker(absl::string_view cut_key, UploadPipeline* pipeline)
    : cut_key_(cut_key), pipeline_(pipeline) {}

absl::Status GroupPacker::Append(absl::string_view path, const FileCutter::Result& file,
                                 PendingContent* content) {
  if (open_ != nullptr && open_->bytes.size() + file.bytes.size() > kGroupMax) {
    EMBER_RETURN_IF_ERROR(Close());
  }
  if (open_ == nullptr) {
    open_ = std::make_shared<Group>();
    entries_ = 0;
    extents_ = 0;
  }
  content->group = open_;
  size_t start = open_->bytes.size();
  for (const DataRun& run : file.runs) {
    content->slots.push_back({.offset = run.offset,
                              .length = static_cast<uint32_t>(run.length),
                              .start = static_cast<uint32_t>(start)});
    start += static_cast<size_t>(run.length);
  }
  open_->bytes.append(file.bytes.data(), file.bytes.size());
  // A chance in proportion to the size: groups have kGroupTarget on average.
  const bool ends = KeyedNumber(cut_key_, "group", path) % kGroupTarget < file.bytes.size();
  return ends ? Close() : absl::OkStatus();
}

absl::Status GroupPacker::Passed(size_t extents) {
  ++entries_;
  extents_ += extents;
  const bool many = entries_ >= kPendingEntriesMax || extents_ >= kPendingExtentsMax;
  return many ? Close() : absl::OkStatus();
}

absl::Status GroupPacker::Close() {
  if (open_ == nullptr) return absl::OkStatus();
  const std::shared_ptr<Group> group = std::exchange(open_, nullptr);
  return pipeline_->Submit(RecordType::GROUP, std::move(group->bytes), [group](const RecordId& id) {
    group->id = id;
    group->resolved = true;
  });
}

}  // namespace ember::backup
