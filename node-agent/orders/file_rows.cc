#include "node-agent/orders/file_rows.h"

#include "absl/strings/str_cat.h"

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

}  // namespace

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

}  // namespace ember::agent
