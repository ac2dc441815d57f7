// Orders commits against a round of garbage collection (docs/vault.md). The round reads the
// reference sets once; a commit that is under way by then must be among them, a later one must pin
// its ids.
#ifndef EMBER_COMMON_VAULT_COMMIT_GATE_H_
#define EMBER_COMMON_VAULT_COMMIT_GATE_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ember::vault {

// Safe for concurrent use. A commit never waits; a round does.
class CommitGate {
 public:
  // Held by a commit from its first look-up until its backup is published.
  class Pass {
   public:
    explicit Pass(CommitGate& gate) : gate_(gate), must_pin_(gate.Enter()) {}
    ~Pass() {
      if (!must_pin_) gate_.Leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    // A round is under way, and may not know this backup: every id is pinned before it is relied
    // on.
    bool must_pin() const { return must_pin_; }

   private:
    CommitGate& gate_;
    const bool must_pin_;
  };

  // A round of garbage collection. Returns when the commits that need not pin have ended.
  class Round {
   public:
    explicit Round(CommitGate& gate) : gate_(gate) { gate_.Start(); }
    ~Round() { gate_.Stop(); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

   private:
    CommitGate& gate_;
  };

 private:
  bool Enter() {
    absl::MutexLock lock(&mu_);
    if (!in_round_) ++unpinned_;
    return in_round_;
  }
  void Leave() {
    absl::MutexLock lock(&mu_);
    --unpinned_;
  }
  void Start() {
    absl::MutexLock lock(&mu_);
    in_round_ = true;
    mu_.Await(absl::Condition(
        +[](int* unpinned) { return *unpinned == 0; }, &unpinned_));
  }
  void Stop() {
    absl::MutexLock lock(&mu_);
    in_round_ = false;
  }

  absl::Mutex mu_;
  bool in_round_ ABSL_GUARDED_BY(mu_) = false;
  int unpinned_ ABSL_GUARDED_BY(mu_) = 0;  // commits under way that began outside of a round
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_COMMIT_GATE_H_
