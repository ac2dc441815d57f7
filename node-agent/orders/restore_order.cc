#include "absl/synchronization/notification.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "node-agent/orders/data_plane.h"
#include "node-agent/orders/queue.h"
#include "node-agent/orders/syntax_check.h"
#include "node-agent/source/source.h"

namespace ember::agent {
namespace {

// As patient as the tries of a backup: its vault's agent, or the controller that releases the keys,
// may be restarting.
constexpr int64_t kPatienceSeconds = kBackupRetrySeconds * ((1 << (kBackupAttemptsMax - 1)) - 1);

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// `attempt()`, again while it is UNAVAILABLE, until the patience is over.
template <typename Attempt>
auto Patiently(const DataPlane& plane, const OrderContext& context, Attempt attempt) {
  const absl::Notification never;
  const absl::Duration end = plane.clock->Monotonic() + absl::Seconds(kPatienceSeconds);
  while (true) {
    auto result = attempt();
    const absl::Status& status = StatusOf(result);
    const bool cancelled = context.cancelled != nullptr && *context.cancelled;
    if (!absl::IsUnavailable(status) || cancelled || plane.clock->Monotonic() >= end) return result;
    LogWarning("orders", "not reachable; trying again", {{"error", status.ToString()}});
    plane.clock->Sleep(absl::Milliseconds(kReplyRetryMillis), never);
  }
}

absl::StatusOr<v1::RestoreResult> RestoreOnce(const v1::Order& order, const DataPlane& plane,
                                              const OrderContext& context) {
  const v1::RestoreOrder& restore = order.restore();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, OpenSource(restore.spec()));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(restore.vault()));
  EMBER_ASSIGN_OR_RETURN(
      const std::unique_ptr<backup::RestoreReader> reader,
      backup::RestoreReader::Open(vault.get(), restore.backup_id(), plane.keys(order.id())));
  RestorePlan plan;
  plan.order_id = order.id();
  plan.target_directory = restore.target_directory();
  plan.paths = {restore.paths().begin(), restore.paths().end()};
  plan.anyway = restore.anyway();
  plan.dry_run = restore.dry_run();
  plan.refuse_existing = restore.keep_existing();
  plan.now = plane.clock->Now();
  plan.cancelled = context.cancelled;
  plan.progress = context.progress;
  EMBER_ASSIGN_OR_RETURN(v1::RestoreResult result, source->Restore(reader.get(), plan));
  if (RestoresInPlace(order)) CheckSyntax(reader.get(), plan.paths, &result);
  return result;
}

absl::Status VerifyOnce(const v1::Order& order, const DataPlane& plane, const OrderContext& context,
                        v1::VerifyResult* result) {
  result->Clear();
  const v1::VerifyOrder& verify = order.verify();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(verify.vault()));
  EMBER_ASSIGN_OR_RETURN(
      const std::unique_ptr<backup::RestoreReader> reader,
      backup::RestoreReader::Open(vault.get(), verify.backup_id(), plane.keys(order.id())));
  backup::RestoreOptions options;
  options.cancelled = context.cancelled;
  options.progress = context.progress;
  options.sample_percent = verify.sample_percent();
  return reader->Verify(options, result);
}

// To the controller DATA_LOSS means that the backup is bad; a disk of this host that fails is no
// fault of the backup, and must not make it give up one after the other.
absl::Status OnlyDamageIsDataLoss(const absl::Status& status) {
  if (!absl::IsDataLoss(status) || IsDamaged(status)) return status;
  return absl::InternalError(status.message());
}

}  // namespace

absl::StatusOr<v1::RestoreResult> RunRestore(const v1::Order& order, const DataPlane& plane,
                                             const OrderContext& context) {
  auto result = Patiently(plane, context, [&] { return RestoreOnce(order, plane, context); });
  if (!result.ok()) return OnlyDamageIsDataLoss(result.status());
  return result;
}

absl::Status RunVerify(const v1::Order& order, const DataPlane& plane, const OrderContext& context,
                       v1::VerifyResult* result) {
  return Patiently(plane, context, [&] { return VerifyOnce(order, plane, context, result); });
}

}  // namespace ember::agent
