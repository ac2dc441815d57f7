#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "node-agent/orders/data_plane.h"

namespace ember::agent {
namespace {

// The second vault that a job names; null when it names none.
absl::StatusOr<std::unique_ptr<vault::ReplicaSource>> OpenOther(const v1::VaultOrder& job,
                                                                const DataPlane& plane) {
  if (job.has_replicate()) return plane.open_replica_source(job.replicate().from());
  if (job.has_check() && !job.check().other().name().empty())
    return plane.open_replica_source(job.check().other());
  return nullptr;
}

}  // namespace

absl::StatusOr<v1::VaultResult> RunVaultJob(const v1::Order& order, const DataPlane& plane,
                                            const OrderContext& context) {
  const v1::VaultOrder& job = order.vault();
  EMBER_RETURN_IF_ERROR(ValidateName("vault", job.vault()));
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
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<vault::ReplicaSource> other, OpenOther(job, plane));
  vault::JobContext job_context;
  job_context.other = other.get();
  job_context.cancelled = context.cancelled;
  job_context.progress = context.progress;
  return vault->Run(job, job_context);
}

}  // namespace ember::agent
