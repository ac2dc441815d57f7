// A fixed set of threads behind a bounded queue.
#ifndef EMBER_COMMON_BASE_WORKER_POOL_H_
#define EMBER_COMMON_BASE_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ember {

// Safe for concurrent use. Tasks run in the order submitted, `threads` at a time.
class WorkerPool {
 public:
  WorkerPool(int threads, size_t queue_max);
  // Runs what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Waits while the queue is full. A task must not submit to its own pool.
  void Submit(std::function<void()> task);
  // Waits until nothing is queued or running.
  void Drain();

 private:
  void Work();

  const size_t queue_max_;
  absl::Mutex mu_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace ember

#endif  // EMBER_COMMON_BASE_WORKER_POOL_H_
