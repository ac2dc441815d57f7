#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "node-agent/orders/data_plane.h"

namespace ember::agent {
namespace {

// A check that only half does what was asked would be taken for a repair.
absl::Status CheckNeedsNoOther(const v1::VaultOrder& job) {
  const bool heals = job.has_check() && !job.check().other().name().empty();
  if (!heals && !job.has_replicate()) return absl::OkStatus();
  return absl::UnimplementedError("this agent cannot read from a second vault");
}

}  // namespace

absl::StatusOr<v1::VaultResult> RunVaultJob(const v1::Order& order, const DataPlane& plane,
                                            const OrderContext& context) {
  const v1::VaultOrder& job = order.vault();
  EMBER_RETURN_IF_ERROR(ValidateName("vault", job.vault()));
  EMBER_RETURN_IF_ERROR(CheckNeedsNoOther(job));
  if (job.has_rebuild_index()) {
    EMBER_ASSIGN_OR_RETURN(const std::string problem, plane.rebuild_index(job.vault()));
    v1::VaultResult result;
    if (!problem.empty()) result.add_problems(problem);
    return result;
  }
  // Held while the job runs: a vault that leaves the configuration meanwhile is closed after it.
  EMBER_ASSIGN_OR_RETURN(const std::shared_ptr<vault::Vault> vault, plane.find_vault(job.vault()));
  if (vault == nullptr) {
    return WithHint(absl::UnavailableError(
                        absl::StrCat("vault '", job.vault(), "' is not served on ", plane.node)),
                    absl::StrCat("ember vault show ", job.vault()));
  }
  vault::JobContext job_context;
  job_context.cancelled = context.cancelled;
  job_context.progress = context.progress;
  return vault->Run(job, job_context);
}

}  // namespace ember::agent
