// How much a backup will read, for those who wait for it.
#ifndef EMBER_NODE_AGENT_SOURCE_BACKUP_SIZE_H_
#define EMBER_NODE_AGENT_SOURCE_BACKUP_SIZE_H_

#include <atomic>
#include <thread>

#include "ember/v1/estate.pb.h"

namespace ember::agent {

// Walks the sources of a workload beside the backup, without reading content. Ends early with the
// object.
class BackupSize {
 public:
  explicit BackupSize(const v1::WorkloadSpec& spec);
  ~BackupSize();
  // 0 until all is counted. Safe for concurrent use.
  int64_t bytes() const { return bytes_; }

 private:
  void Count(const v1::WorkloadSpec& spec);

  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> bytes_ = 0;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_BACKUP_SIZE_H_
