// Readers hold what they read: a pack is unlinked only when every read that began before it was
// retired has ended. In memory: no reader survives the process.
#ifndef EMBER_COMMON_VAULT_READER_LEASES_H_
#define EMBER_COMMON_VAULT_READER_LEASES_H_

#include <cstdint>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ember::vault {

// Safe for concurrent use.
class ReaderLeases {
 public:
  // One read, from before its look-up in the index to its last byte. Must not outlive `leases`.
  class Lease {
   public:
    explicit Lease(ReaderLeases& leases) : leases_(leases), number_(leases.Begin()) {}
    ~Lease() { leases_.End(number_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    ReaderLeases& leases_;
    const uint64_t number_;
  };

  // A moment, for EndedBefore.
  uint64_t Now() {
    absl::MutexLock lock(&mu_);
    return next_;
  }
  // No read that began before `moment` goes on.
  bool EndedBefore(uint64_t moment) {
    absl::MutexLock lock(&mu_);
    return active_.empty() || *active_.begin() >= moment;
  }

 private:
  uint64_t Begin() {
    absl::MutexLock lock(&mu_);
    active_.insert(next_);
    return next_++;
  }
  void End(uint64_t number) {
    absl::MutexLock lock(&mu_);
    active_.erase(number);
  }

  absl::Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  std::set<uint64_t> active_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_READER_LEASES_H_
