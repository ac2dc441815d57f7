#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
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

const std::string& OtherNode(const v1::VaultOrder& job) {
  return job.has_replicate() ? job.replicate().from().node() : job.check().other().node();
}

// What another node sends here counts as its uplink; unread, it stops sending.
class PacedSource : public vault::ReplicaSource {
 public:
  PacedSource(vault::ReplicaSource* source, std::string node, const DataPlane& plane,
              const OrderContext& context)
      : source_(source), node_(std::move(node)), plane_(plane), context_(context) {}

  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups() override {
    return source_->ListBackups();
  }
  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    return source_->GetBackup(backup_id);
  }
  absl::Status ReadRefs(const std::string& backup_id,
                        const std::function<absl::Status(absl::string_view)>& sink) override {
    return source_->ReadRefs(backup_id, sink);
  }
  absl::Status Read(const v1::ReadRequest& request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    return source_->Read(request, [&](v1::ReadReply&& reply) -> absl::Status {
      EMBER_RETURN_IF_ERROR(Pace(static_cast<int64_t>(reply.ByteSizeLong())));
      return sink(std::move(reply));
    });
  }

 private:
  absl::Status Pace(int64_t bytes) {
    if (!plane_.pace || node_ == plane_.node) return absl::OkStatus();
    const absl::Duration until = plane_.clock->Monotonic() + plane_.pace(node_, bytes);
    while (true) {
      const absl::Duration left = until - plane_.clock->Monotonic();
      if (left <= absl::ZeroDuration()) return absl::OkStatus();
      if (*context_.cancelled) return absl::CancelledError("the job was cancelled");
      plane_.clock->Sleep(std::min(left, absl::Milliseconds(kPacePollMillis)), never_);
    }
  }

  vault::ReplicaSource* const source_;
  const std::string node_;
  const DataPlane& plane_;
  const OrderContext& context_;
  const absl::Notification never_;
};

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
  PacedSource paced(other.get(), OtherNode(job), plane, context);
  vault::JobContext job_context;
  if (other != nullptr) job_context.other = &paced;
  job_context.cancelled = context.cancelled;
  job_context.progress = context.progress;
  return vault->Run(job, job_context);
}

}  // namespace ember::agent
