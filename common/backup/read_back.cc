#include "common/backup/read_back.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/base/worker_pool.h"

namespace ember::backup {
namespace {

// Vault replies waiting to be opened.
constexpr size_t kRepliesMax = 8;

class Checker {
 public:
  Checker(VaultPort* vault, const ReadBackOptions& options, std::vector<RecordId> uploaded)
      : vault_(vault), options_(options), id_key_(options.id_key), uploaded_(std::move(uploaded)) {
    std::sort(uploaded_.begin(), uploaded_.end());
    uploaded_.erase(std::unique(uploaded_.begin(), uploaded_.end()), uploaded_.end());
    seen_.resize(uploaded_.size());
  }

  absl::Status Run() {
    v1::ReadRequest all;
    all.set_only_session(options_.session_id);
    EMBER_RETURN_IF_ERROR(Read(std::move(all)));
    // Kept from another session: ask by id.
    std::vector<size_t> missing = Missing();
    for (size_t at = 0; at < missing.size(); at += kRestoreBatchIds) {
      v1::ReadRequest some;
      for (size_t i = at; i < std::min(missing.size(), at + kRestoreBatchIds); ++i) {
        some.add_ids(uploaded_[missing[i]].data(), uploaded_[missing[i]].size());
      }
      EMBER_RETURN_IF_ERROR(Read(std::move(some)));
    }
    missing = Missing();
    if (missing.empty()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(missing.size(), " of ", uploaded_.size(),
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
      Note(problem.id(), problem.absent() ? absl::OkStatus()  // Missing() will tell
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
      const auto at = std::lower_bound(uploaded_.begin(), uploaded_.end(), id);
      absl::MutexLock lock(&mu_);
      if (at != uploaded_.end() && *at == id) seen_[at - uploaded_.begin()] = true;
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

  std::vector<size_t> Missing() {
    absl::MutexLock lock(&mu_);
    std::vector<size_t> missing;
    for (size_t i = 0; i < seen_.size(); ++i) {
      if (!seen_[i]) missing.push_back(i);
    }
    return missing;
  }

  VaultPort* const vault_;
  const ReadBackOptions& options_;
  const HmacSha256Key id_key_;
  std::vector<RecordId> uploaded_;  // sorted
  absl::Mutex mu_;
  std::vector<bool> seen_ ABSL_GUARDED_BY(mu_);
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::Status ReadBack(VaultPort* vault, const ReadBackOptions& options,
                      std::vector<RecordId> uploaded) {
  if (uploaded.empty()) return absl::OkStatus();
  return Checker(vault, options, std::move(uploaded)).Run();
}

}  // namespace ember::backup
