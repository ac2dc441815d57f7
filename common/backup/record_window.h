// Fetches and opens content records ahead of their use, on several threads.
#ifndef EMBER_COMMON_BACKUP_RECORD_WINDOW_H_
#define EMBER_COMMON_BACKUP_RECORD_WINDOW_H_

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/backup/record.h"
#include "common/backup/record_opener.h"
#include "common/backup/vault_port.h"
#include "common/base/worker_pool.h"

namespace ember::backup {

// Want, Wait and Release from one thread. The caller bounds how much it wants ahead.
class RecordWindow {
 public:
  // `cancelled` may be null; all must outlive the window.
  RecordWindow(VaultPort* vault, const RecordOpener* opener, int threads,
               const std::atomic<bool>* cancelled);
  ~RecordWindow();
  RecordWindow(const RecordWindow&) = delete;
  RecordWindow& operator=(const RecordWindow&) = delete;

  // Each Want needs a Release. A record that is wanted, or was released lately, is not fetched
  // again.
  void Want(const RecordId& id);
  // The bytes of a wanted record; valid until its Release. DATA_LOSS: absent, damaged, or not
  // content.
  absl::StatusOr<absl::string_view> Wait(const RecordId& id);
  void Release(const RecordId& id);

 private:
  struct Slot {
    int wanted = 0;
    bool done = false;
    absl::Status status;
    std::string bytes;
  };
  void FetchLoop();
  absl::Status Receive(v1::ReadReply&& reply, absl::flat_hash_set<RecordId>* answered);
  void Resolve(const RecordId& id, absl::StatusOr<PlainRecord> record) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetOld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  VaultPort* const vault_;
  const RecordOpener* const opener_;
  const std::atomic<bool>* const cancelled_;
  absl::Mutex mu_;
  absl::CondVar fetch_cv_;
  absl::CondVar done_cv_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_map<RecordId, std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mu_);
  std::deque<RecordId> to_fetch_ ABSL_GUARDED_BY(mu_);
  std::deque<RecordId> released_ ABSL_GUARDED_BY(mu_);  // oldest first
  size_t released_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<WorkerPool> openers_;
  std::vector<std::thread> fetchers_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RECORD_WINDOW_H_
