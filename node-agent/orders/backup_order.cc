#include "absl/strings/match.h"
#include "common/backup/backup_writer.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "node-agent/orders/data_plane.h"
#include "node-agent/source/backup_size.h"
#include "node-agent/source/source.h"

namespace ember::agent {
namespace {

// `sent`: bytes that went to the vault, also when it fails.
absl::StatusOr<v1::BackupResult> BackUpOnce(const v1::Order& order, bool full,
                                            const DataPlane& plane, const OrderContext& context,
                                            int64_t* sent) {
  const v1::BackupOrder& backup = order.backup();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, OpenSource(backup.spec()));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(backup.vault()));
  backup::BackupOptions options;
  options.backup_id = backup.backup_id();
  options.workload = order.workload();
  options.node = plane.node;
  options.epoch = order.epoch();
  options.reason = backup.reason();
  options.domain = backup.domain();
  options.grant = backup.grant();
  options.roots = source->Roots();
  options.cache_path =
      JoinPath(plane.cache_directory, absl::StrCat(order.workload(), "@", backup.vault().name()));
  options.full = full;
  options.clock = plane.clock;
  options.cancelled = context.cancelled;
  // What stays on this machine takes no line.
  if (plane.pace && backup.vault().node() != plane.node)
    options.pace = [&plane](int64_t bytes) { return plane.pace(plane.node, bytes); };
  // A backup that knows the last one knows more than a walk would find out.
  std::unique_ptr<BackupSize> size;
  if (full || !FileExists(options.cache_path)) size = std::make_unique<BackupSize>(backup.spec());
  options.progress = [&](v1::Progress progress) {
    if (size != nullptr) progress.set_bytes_total(size->bytes());
    *sent = progress.bytes_sent();
    context.progress(progress);
  };
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::BackupWriter> writer,
                         backup::BackupWriter::Open(std::move(options), vault.get()));
  EMBER_RETURN_IF_ERROR(source->Read(writer.get()));
  return writer->Commit();
}

// The same code means a session that a later one replaced; that one must not be tried again.
bool VaultLostRecords(const absl::Status& status) {
  return absl::IsAborted(status) && absl::StrContains(status.message(), "vault lost");
}

// The agent ended after an earlier try of this order was committed and before its result was
// durable. What could not be read then is not known any more, so the backup counts as PARTIAL: kept
// and listed, but the RPO wants another. The EM has it verified.
absl::StatusOr<v1::BackupResult> CommittedEarlier(const v1::Order& order, const DataPlane& plane) {
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(order.backup().vault()));
  EMBER_ASSIGN_OR_RETURN(const v1::StoredBackup stored,
                         vault->GetBackup(order.backup().backup_id()));
  if (stored.workload() != order.workload() || stored.domain_id() != order.backup().domain().id()) {
    return absl::AlreadyExistsError(
        absl::StrCat("backup ", stored.backup_id(), " is of another workload or node"));
  }
  constexpr char kWhy[] =
      "the agent was interrupted right after the commit: what could not be read is not known";
  v1::BackupResult result;
  result.set_outcome(v1::Outcome::PARTIAL);
  result.add_problems()->set_problem(kWhy);
  result.set_problems_total(1);
  *result.mutable_receipt() = stored.receipt();
  result.set_read_back_error(kWhy);
  result.set_read_back_code(static_cast<int>(absl::StatusCode::kAborted));
  return result;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> DialVaultNode(const v1::VaultAddress& address,
                                                             const rpc::Identity& identity) {
  EMBER_RETURN_IF_ERROR(ValidateName("vault", address.name()));
  EMBER_RETURN_IF_ERROR(ValidateName("node", address.node()));
  if (address.address().empty()) {
    return absl::UnavailableError(absl::StrCat("vault '", address.name(), "' on node '",
                                               address.node(),
                                               "' cannot be reached: its address is not known"));
  }
  return rpc::Dial(address.address(), identity, "agent", address.node());
}

absl::StatusOr<std::unique_ptr<backup::VaultPort>> DialVault(const v1::VaultAddress& address,
                                                             const rpc::Identity& identity) {
  EMBER_ASSIGN_OR_RETURN(auto channel, DialVaultNode(address, identity));
  return backup::OpenGrpcVault(std::move(channel), address.name(), address.read_grant());
}

absl::StatusOr<v1::BackupResult> RunBackup(const v1::Order& order, const DataPlane& plane,
                                           const OrderContext& context) {
  EMBER_RETURN_IF_ERROR(ValidateName("workload", order.workload()));
  EMBER_RETURN_IF_ERROR(ValidateName("vault", order.backup().vault().name()));
  EMBER_RETURN_IF_ERROR(MakeDirectories(plane.cache_directory));
  int64_t sent = 0;
  absl::StatusOr<v1::BackupResult> result =
      BackUpOnce(order, order.backup().full(), plane, context, &sent);
  if (absl::IsAlreadyExists(result.status())) return CommittedEarlier(order, plane);
  if (result.ok() || order.backup().full() || !VaultLostRecords(result.status())) return result;
  LogWarning("orders", "the vault lost records: everything is read again",
             {{"order", order.id()}, {"error", result.status().ToString()}});
  // The second session finds what the first one sent and did not commit: both are of this backup.
  int64_t sent_again = 0;
  result = BackUpOnce(order, true, plane, context, &sent_again);
  if (result.ok()) result->set_added_bytes(result->added_bytes() + sent);
  return result;
}

}  // namespace ember::agent
