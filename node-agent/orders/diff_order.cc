#include <memory>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "common/backup/backup_diff.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"
#include "node-agent/orders/data_plane.h"
#include "node-agent/orders/file_rows.h"

namespace ember::agent {
namespace {

using backup::FileChange;

const char* KindText(FileChange::Kind kind) {
  switch (kind) {
    case FileChange::Kind::kAdded: return "added";
    case FileChange::Kind::kRemoved: return "removed";
    case FileChange::Kind::kChanged: return "changed";
    case FileChange::Kind::kAttributes: return "attributes";
  }
  return "";
}

// A backup and the vault that it is read from.
struct OpenBackup {
  std::unique_ptr<backup::VaultPort> vault;
  std::unique_ptr<backup::RestoreReader> reader;
};

absl::StatusOr<OpenBackup> Open(const v1::VaultAddress& vault, const std::string& backup_id,
                                const v1::Order& order, const DataPlane& plane) {
  OpenBackup open;
  EMBER_ASSIGN_OR_RETURN(open.vault, plane.open_vault(vault));
  EMBER_ASSIGN_OR_RETURN(open.reader, backup::RestoreReader::Open(open.vault.get(), backup_id,
                                                                  plane.keys(order.id())));
  return open;
}

}  // namespace

absl::StatusOr<v1::DiffResult> RunDiff(const v1::Order& order, const DataPlane& plane,
                                       const OrderContext& context) {
  const v1::DiffOrder& diff = order.diff();
  backup::DiffOptions options;
  if (!diff.path().empty()) {
    EMBER_ASSIGN_OR_RETURN(options.path, files::EntryPath(diff.path()));
  }
  options.after = std::string(absl::StripPrefix(diff.after(), "/"));
  EMBER_ASSIGN_OR_RETURN(const OpenBackup before,
                         Open(diff.vault(), diff.backup_id(), order, plane));
  EMBER_ASSIGN_OR_RETURN(const OpenBackup after,
                         Open(diff.other_vault(), diff.other_id(), order, plane));
  v1::DiffResult page;
  size_t bytes = 0;
  const absl::Status compared =
      backup::DiffBackups(before.reader.get(), after.reader.get(), options,
                          [&](const FileChange& change) -> absl::Status {
                            if (context.cancelled != nullptr && *context.cancelled)
                              return absl::CancelledError("it was cancelled");
                            v1::FileDifference row;
                            row.set_change(KindText(change.kind));
                            if (change.before != nullptr)
                              *row.mutable_before() = RowOf(*change.before);
                            if (change.after != nullptr)
                              *row.mutable_after() = RowOf(*change.after);
                            bytes += row.ByteSizeLong();
                            page.set_more(bytes > kListingBytesMax && page.items_size() > 0);
                            if (page.more()) return absl::CancelledError("the page is full");
                            *page.add_items() = std::move(row);
                            return absl::OkStatus();
                          });
  if (!compared.ok() && !page.more()) return compared;
  return page;
}

}  // namespace ember::agent
