// From plaintext to sealed records in the vault, on several threads: id → known? → compress → seal
// → upload.
#ifndef EMBER_COMMON_BACKUP_UPLOAD_PIPELINE_H_
#define EMBER_COMMON_BACKUP_UPLOAD_PIPELINE_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/backup/id_set.h"
#include "common/backup/known_ids.h"
#include "common/backup/record.h"
#include "common/backup/vault_port.h"
#include "common/base/clock.h"

namespace ember::backup {

// One thread submits; the pipeline owns the others. What is in flight never exceeds kInFlightBytes:
// Submit waits. The first error, or a cancellation, ends everything: each call returns it from then
// on.
class UploadPipeline {
 public:
  struct Options {
    VaultSession* session = nullptr;  // must outlive the pipeline
    std::string domain_id;
    std::string id_key;
    absl::string_view session_key;  // must outlive the pipeline
    int threads = 2;
    const std::atomic<bool>* cancelled = nullptr;  // may be null
    KnownIds known;                                // surely in the vault
    std::string scratch_directory;                 // as of IdSet
    // How long to wait before so many bytes are sent; may be empty.
    std::function<absl::Duration(int64_t bytes)> pace;
    Clock* clock = nullptr;  // for pace
  };
  explicit UploadPipeline(Options options);
  // Drops what is in flight.
  ~UploadPipeline();
  UploadPipeline(const UploadPipeline&) = delete;
  UploadPipeline& operator=(const UploadPipeline&) = delete;

  // Makes `plaintext` a record, and sends it unless the vault has it. `resolved` gets its id, on
  // another thread.
  absl::Status Submit(RecordType::Value type, std::string plaintext,
                      std::function<void(const RecordId&)> resolved);
  // The same, with the id at once.
  absl::StatusOr<RecordId> SubmitForId(RecordType::Value type, std::string plaintext);
  // Waits until `done`, which changes only in a `resolved`.
  absl::Status WaitUntil(const std::function<bool()>& done);
  // Waits until the vault session has taken everything.
  absl::Status Drain();
  absl::Status status();

  uint64_t NextNonce() { return nonce_.fetch_add(1); }
  int64_t bytes_sent() const { return bytes_sent_.load(); }
  // After Drain: what was sent. Once.
  std::unique_ptr<IdSet> TakeUploaded();

 private:
  struct Item {
    RecordType::Value type = RecordType::UNKNOWN;
    std::string plaintext;
    std::function<void(const RecordId&)> resolved;
    RecordId id{};
    size_t charge = 0;
    std::string payload;
    uint64_t nonce = 0;
  };
  using ItemPtr = std::unique_ptr<Item>;
  using Queue = std::deque<ItemPtr>;

  absl::Status Admit(Item* item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Waits, looking at `cancelled` now and then, until `done` or an error.
  absl::Status Await(const std::function<bool()>& done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Does the vault have to be asked about `id`, which is not known?
  bool MustAsk(const RecordId& id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Route(ItemPtr item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Release(const Item& item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The next item of `queue`, or null at the end.
  ItemPtr Take(Queue* queue) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Finds the ids of waiting items, of as many as are hashed at once.
  void Identify() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Work();
  void Ask();
  void Upload();
  // Waits as long as the bytes of a payload must wait, or until the end.
  void Pace(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Options options_;
  const HmacSha256Key id_key_;
  const size_t hashed_at_once_;
  const bool domain_empty_;
  std::atomic<uint64_t> nonce_{1};
  std::atomic<int64_t> bytes_sent_{0};

  absl::Mutex mu_;
  absl::CondVar work_cv_;      // to_identify_, to_seal_
  absl::CondVar ask_cv_;       // to_ask_
  absl::CondVar upload_cv_;    // to_upload_
  absl::CondVar progress_cv_;  // the submitting thread
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  size_t in_flight_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  Queue to_identify_ ABSL_GUARDED_BY(mu_);
  Queue to_seal_ ABSL_GUARDED_BY(mu_);
  Queue to_ask_ ABSL_GUARDED_BY(mu_);
  Queue to_upload_ ABSL_GUARDED_BY(mu_);
  KnownIds known_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<IdSet> uploaded_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_UPLOAD_PIPELINE_H_
