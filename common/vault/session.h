// One backup session: the packs it is filling.
#ifndef EMBER_COMMON_VAULT_SESSION_H_
#define EMBER_COMMON_VAULT_SESSION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/limits.h"
#include "common/base/worker_pool.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/pack_trash.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

// Who a session belongs to and what it is for; does not change.
struct SessionFacts {
  std::string node;
  std::string workload;
  std::string domain_id;
  std::string backup_id;
  std::string session_id;
  std::string keybox;
  uint64_t token = 0;
  uint32_t epoch = 0;   // of garbage collection, when it was opened
  absl::Duration hold;  // nobody deletes its backup before so long after it was received
  PackParityMode parity = PackParityMode::kOn;
  std::vector<std::string> parents;  // backups whose ids the client takes for present
};

// Calls hold `mu`, so that they follow each other; sessions do not wait for each other.
class Session {
 public:
  // All outlive the session.
  Session(SessionFacts facts, ObjectStore& store, ChunkIndex& index, PackTrash& trash,
          DamagedIds& damaged);

  const SessionFacts& facts() const { return facts_; }

  absl::Mutex mu;

  // Each record goes to one of the open packs at random, so that what lies next to what says little
  // about the order in which files were read. A full pack is published beside what comes next, so
  // that the sender does not wait for the disk. After an error what was not synced is lost, and
  // every later call says so until the session is opened again.
  absl::Status Append(const v1::UploadRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Publishes the open packs, and waits for those under way.
  absl::Status Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  int64_t stored_bytes() const ABSL_LOCKS_EXCLUDED(published_mu_);

  // Nothing of this session may be published any more, but for a call in progress and the packs
  // under way; WaitForPublished waits for both.
  void Supersede() { superseded_ = true; }
  void WaitForPublished() ABSL_LOCKS_EXCLUDED(mu);
  // ABORTED once superseded.
  absl::Status CheckCurrent() const;

  // Its backup is published.
  void SetCommitted() { committed_ = true; }
  bool committed() const { return committed_; }
  // By the monotonic clock.
  void Touch(absl::Duration now) { last_used_nanos_ = absl::ToInt64Nanoseconds(now); }
  absl::Duration last_used() const { return absl::Nanoseconds(last_used_nanos_.load()); }

 private:
  absl::Status AppendOne(const v1::Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void Publish(std::unique_ptr<PackWriter> pack) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void Take(PackWriter& pack) ABSL_LOCKS_EXCLUDED(published_mu_);
  // Of the packs published so far.
  absl::Status PublishError() const ABSL_LOCKS_EXCLUDED(published_mu_);
  absl::Status Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  const SessionFacts facts_;
  ObjectStore& store_;
  ChunkIndex& index_;
  PackTrash& trash_;
  DamagedIds& damaged_;
  std::atomic<bool> superseded_{false};
  std::atomic<bool> committed_{false};
  std::atomic<int64_t> last_used_nanos_{0};
  absl::BitGen random_ ABSL_GUARDED_BY(mu);
  std::array<std::unique_ptr<PackWriter>, kOpenPacks> packs_ ABSL_GUARDED_BY(mu);
  absl::Status failure_ ABSL_GUARDED_BY(mu);
  mutable absl::Mutex published_mu_;
  int64_t stored_bytes_ ABSL_GUARDED_BY(published_mu_) = 0;
  absl::Status publish_error_ ABSL_GUARDED_BY(published_mu_);
  // While packs are under way. Last, so that it goes before what its tasks use.
  std::unique_ptr<WorkerPool> publishing_ ABSL_GUARDED_BY(mu);
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_SESSION_H_
