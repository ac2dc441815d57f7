// Packs small files into group records.
#ifndef EMBER_COMMON_BACKUP_GROUP_PACKER_H_
#define EMBER_COMMON_BACKUP_GROUP_PACKER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/backup/file_cutter.h"
#include "common/backup/pending_content.h"
#include "common/backup/upload_pipeline.h"
#include "common/crypto/hmac_batch.h"

namespace ember::backup {

// Files join the open group in path order. A group ends after a file when HMAC(K_cut, "group" ‖
// path) mod kGroupTarget is less than the file's size, before a file that would take it over
// kGroupMax, and when kPendingEntriesMax entries wait for it. All of that depends on the tree
// alone, so equal trees give equal groups. Use from one thread.
class GroupPacker {
 public:
  // `pipeline` must outlive the packer.
  GroupPacker(absl::string_view cut_key, UploadPipeline* pipeline);
  // `content` becomes extents of the open group.
  absl::Status Append(absl::string_view path, const FileCutter::Result& file,
                      PendingContent* content);
  // An entry with so many extents comes after the files appended, or is the one appended last.
  absl::Status Passed(size_t extents);
  // Sends the open group, if any.
  absl::Status Close();

 private:
  const HmacSha256Key cut_key_;
  UploadPipeline* const pipeline_;
  std::shared_ptr<Group> open_;
  size_t entries_ = 0;  // that wait for the open group, and their extents
  size_t extents_ = 0;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_GROUP_PACKER_H_
