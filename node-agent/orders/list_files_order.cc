#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"
#include "node-agent/orders/data_plane.h"
#include "node-agent/orders/file_rows.h"

namespace ember::agent {

using format::v1::Entry;

absl::StatusOr<v1::FileList> RunListFiles(const v1::Order& order, const DataPlane& plane,
                                          const OrderContext& context) {
  const v1::ListFilesOrder& list = order.list_files();
  backup::RestoreOptions options;
  options.cancelled = context.cancelled;
  if (!list.path().empty()) {
    EMBER_ASSIGN_OR_RETURN(const std::string path, files::EntryPath(list.path()));
    if (!path.empty()) options.paths = {path};
  }
  const absl::string_view after = list.after();
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(list.vault()));
  EMBER_ASSIGN_OR_RETURN(
      const std::unique_ptr<backup::RestoreReader> reader,
      backup::RestoreReader::Open(vault.get(), list.backup_id(), plane.keys(order.id())));
  v1::FileList page;
  size_t bytes = 0;
  const absl::Status read = reader->ForEachEntry(options, [&](const Entry& entry) {
    if (!after.empty() && !backup::PathLess(after.substr(1), entry.path())) return absl::OkStatus();
    v1::FileRow row = RowOf(entry);
    bytes += row.ByteSizeLong();
    page.set_more(bytes > kListingBytesMax && page.items_size() > 0);
    if (page.more()) return absl::CancelledError();
    *page.add_items() = std::move(row);
    return absl::OkStatus();
  });
  if (!read.ok() && !page.more()) return read;
  if (page.items_size() == 0 && after.empty() && !options.paths.empty()) {
    return WithHint(
        absl::NotFoundError(absl::StrCat(files::Shown(options.paths[0]), " is not in this backup")),
        absl::StrCat("ember backup files ", list.backup_id()));
  }
  return page;
}

}  // namespace ember::agent
