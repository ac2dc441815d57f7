#include "common/backup/read_back.h"

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/base/worker_pool.h"

namespace ember::backup {
namespace {

// Vault replies waiting to be opened.
constexpr size_t kRepliesMax = 8;

class Checker {
 public:
  Checker(VaultPort* vault, const ReadBackOptions& options, IdSet& uploaded)
      : vault_(vault),
        options_(options),
        id_key_(options.id_key),
        uploaded_(uploaded),
        came_(std::make_unique<IdSet>(options.scratch_directory)) {}

  absl::Status Run() {
    EMBER_RETURN_IF_ERROR(uploaded_.Sort());
    v1::ReadRequest all;
    all.set_only_session(options_.session_id);
    EMBER_RETURN_IF_ERROR(Read(std::move(all)));
    EMBER_RETURN_IF_ERROR(ReadMissing());
    if (missing_ == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(missing_, " of ", uploaded_.size(),
                                            " records did not come back from the vault"));
  }

 private:
  absl::Status Read(v1::ReadRequest request) {
    WorkerPool pool(options_.threads, kRepliesMax);
    const absl::Status read = vault_->Read(std::move(request), [&](v1::ReadReply&& reply) {
      if (options_.cancelled != nullptr && options_.cancelled->load()) {
        return absl::CancelledError("the read-back was cancelled");
      }
      auto shared = std::make_shared<v1::ReadReply>(std::move(reply));
      pool.Submit([this, shared] { Check(*shared); });
      absl::MutexLock lock(&mu_);
      return first_error_;
    });
    pool.Drain();
    absl::MutexLock lock(&mu_);
    return first_error_.ok() ? read : first_error_;
  }

  void Check(const v1::ReadReply& reply) {
    for (const v1::ReadProblem& problem : reply.problems()) {
      Note(problem.id(), problem.absent() ? absl::OkStatus()  // is seen later
                                          : absl::DataLossError(problem.problem()));
    }
    for (const v1::Record& record : reply.records()) {
      if (record.session_id() == options_.session_id) {
        const absl::Status opened =
            OpenRecord(options_.domain_id, id_key_, options_.session_key, record).status();
        if (!opened.ok()) {
          Note(record.id(), opened);
          continue;
        }
      }
      RecordId id;
      if (!ParseRecordId(record.id(), &id)) continue;
      absl::MutexLock lock(&mu_);
      const absl::Status added = came_->Add(id);
      if (first_error_.ok()) first_error_ = added;
    }
  }

  void Note(absl::string_view id, const absl::Status& status) {
    if (status.ok()) return;
    absl::MutexLock lock(&mu_);
    if (first_error_.ok()) {
      first_error_ =
          Annotate(status, absl::StrCat("record ", absl::BytesToHexString(id.substr(0, 8))));
    }
  }

  // What was kept from another session that stored the same id: it is asked for by its id.
  absl::Status ReadMissing() {
    const std::unique_ptr<IdSet> of_session = TakeWhatCame();
    EMBER_RETURN_IF_ERROR(of_session->Sort());
    auto batch = std::make_unique<IdSet>(options_.scratch_directory);
    size_t in_batch = 0;
    EMBER_RETURN_IF_ERROR(
        VisitMissing(uploaded_, *of_session, [&](const RecordId& id) -> absl::Status {
          EMBER_RETURN_IF_ERROR(batch->Add(id));
          if (++in_batch < kRestoreBatchIds) return absl::OkStatus();
          in_batch = 0;
          return ReadBatch(
              *std::exchange(batch, std::make_unique<IdSet>(options_.scratch_directory)));
        }));
    return batch->empty() ? absl::OkStatus() : ReadBatch(*batch);
  }

  absl::Status ReadBatch(IdSet& batch) {
    EMBER_RETURN_IF_ERROR(batch.Sort());
    v1::ReadRequest request;
    EMBER_RETURN_IF_ERROR(batch.Visit([&request](absl::string_view joined) {
      for (const absl::string_view id : SplitIds(joined)) request.add_ids(std::string(id));
      return absl::OkStatus();
    }));
    EMBER_RETURN_IF_ERROR(Read(std::move(request)));
    const std::unique_ptr<IdSet> came = TakeWhatCame();
    EMBER_RETURN_IF_ERROR(came->Sort());
    return VisitMissing(batch, *came, [this](const RecordId&) {
      ++missing_;
      return absl::OkStatus();
    });
  }

  std::unique_ptr<IdSet> TakeWhatCame() {
    absl::MutexLock lock(&mu_);
    return std::exchange(came_, std::make_unique<IdSet>(options_.scratch_directory));
  }

  VaultPort* const vault_;
  const ReadBackOptions& options_;
  const HmacSha256Key id_key_;
  IdSet& uploaded_;
  uint64_t missing_ = 0;
  absl::Mutex mu_;
  std::unique_ptr<IdSet> came_ ABSL_GUARDED_BY(mu_);  // since it was last taken
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::Status ReadBack(VaultPort* vault, const ReadBackOptions& options,
                      std::unique_ptr<IdSet> uploaded) {
  if (uploaded->empty()) return absl::OkStatus();
  return Checker(vault, options, *uploaded).Run();
}

}  // namespace ember::backup
