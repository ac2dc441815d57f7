// The bytes of a regular file on their way into a backup.
#ifndef EMBER_NODE_AGENT_SOURCE_FILE_CONTENT_H_
#define EMBER_NODE_AGENT_SOURCE_FILE_CONTENT_H_

#include <sys/stat.h>

#include <atomic>
#include <memory>

#include "common/backup/backup_writer.h"
#include "common/base/file.h"

namespace ember::agent {

// Reads `file`, whose statx(2) was `info`, leaving out its holes. Sets `failed` when reading fails,
// so that the walk knows the file did not get into the backup.
std::unique_ptr<backup::FileContent> OpenContent(std::shared_ptr<const Fd> file,
                                                 const struct statx& info,
                                                 std::shared_ptr<std::atomic<bool>> failed);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_FILE_CONTENT_H_
