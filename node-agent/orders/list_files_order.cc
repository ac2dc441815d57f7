#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"
#include "node-agent/orders/data_plane.h"

namespace ember::agent {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

const char* TypeText(EntryType::Value type) {
  switch (type) {
    case EntryType::FILE: return "file";
    case EntryType::DIRECTORY: return "directory";
    case EntryType::SYMLINK: return "symlink";
    case EntryType::FIFO: return "fifo";
    case EntryType::SOCKET: return "socket";
    case EntryType::CHARACTER: return "character";
    case EntryType::BLOCK: return "block";
    default: return "unknown";
  }
}

v1::FileRow RowOf(const Entry& entry) {
  v1::FileRow row;
  row.set_path(absl::StrCat("/", entry.path()));
  row.set_type(TypeText(entry.type()));
  row.set_mode(entry.mode());
  row.set_user(entry.user().empty() ? absl::StrCat(entry.uid()) : entry.user());
  row.set_group(entry.group().empty() ? absl::StrCat(entry.gid()) : entry.group());
  row.set_size(entry.size());
  row.mutable_modified()->set_seconds(entry.mtime_seconds());
  row.mutable_modified()->set_nanos(static_cast<int32_t>(entry.mtime_nanos()));
  if (!entry.hardlink_to().empty()) {
    row.set_target(absl::StrCat("/", entry.hardlink_to()));
  } else {
    row.set_target(entry.symlink());
  }
  return row;
}

}  // namespace

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
