#include "common/base/status.h"
#include "node-agent/orders/data_plane.h"
#include "node-agent/source/source.h"

namespace ember::agent {

absl::StatusOr<v1::RestoreResult> RunRestore(const v1::Order& order, const DataPlane& plane,
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
  return source->Restore(reader.get(), plan);
}

absl::StatusOr<v1::VerifyResult> RunVerify(const v1::Order& order, const DataPlane& plane,
                                           const OrderContext& context) {
  const v1::VerifyOrder& verify = order.verify();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(verify.vault()));
  EMBER_ASSIGN_OR_RETURN(
      const std::unique_ptr<backup::RestoreReader> reader,
      backup::RestoreReader::Open(vault.get(), verify.backup_id(), plane.keys(order.id())));
  backup::RestoreOptions options;
  options.cancelled = context.cancelled;
  options.progress = context.progress;
  return reader->Verify(options);
}

}  // namespace ember::agent
