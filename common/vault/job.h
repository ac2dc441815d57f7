// What the jobs of a vault (docs/vault.md) share.
#ifndef EMBER_COMMON_VAULT_JOB_H_
#define EMBER_COMMON_VAULT_JOB_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/limits.h"
#include "common/vault/vault.h"

namespace ember::vault {

// CANCELLED once the job is to stop.
inline absl::Status CheckCancelled(const JobContext& context) {
  return context.cancelled != nullptr && *context.cancelled
             ? absl::CancelledError("the job was cancelled")
             : absl::OkStatus();
}

inline void ReportProgress(const JobContext& context, absl::string_view phase, int64_t bytes_done,
                           int64_t bytes_total) {
  if (!context.progress) return;
  v1::Progress progress;
  progress.set_phase(std::string(phase));
  progress.set_bytes_read(bytes_done);
  progress.set_bytes_total(bytes_total);
  context.progress(progress);
}

inline void AddProblem(v1::VaultResult& result, absl::string_view problem) {
  if (result.problems_size() < static_cast<int>(kProblemsReportedMax))
    result.add_problems(std::string(problem));
}

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_JOB_H_
