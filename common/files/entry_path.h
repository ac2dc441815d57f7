// Paths as a backup names them (format::v1::Entry.path): absolute, without the leading slash, any
// bytes but NUL.
#ifndef EMBER_COMMON_FILES_ENTRY_PATH_H_
#define EMBER_COMMON_FILES_ENTRY_PATH_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::files {

// The entry path of what an owner wrote ("/srv//db/" is "srv/db", "/" is ""). INVALID_ARGUMENT
// unless it is absolute and without "..".
absl::StatusOr<std::string> EntryPath(absl::string_view absolute);
// DATA_LOSS unless every component is a name that a directory can hold. "" (the root directory)
// passes.
absl::Status CheckEntryPath(absl::string_view path);
// `path` is `top` or below it. Everything is below "".
bool IsAtOrBelow(absl::string_view path, absl::string_view top);
// The part of `path` below `top`, without a leading slash; "" for `top` itself. Needs IsAtOrBelow.
absl::string_view Below(absl::string_view path, absl::string_view top);
// Directory and last component.
std::pair<absl::string_view, absl::string_view> SplitLast(absl::string_view path);
// A directory's path followed by a name.
std::string Child(absl::string_view directory, absl::string_view name);
// "/path" for messages and proto strings: bytes that are no UTF-8 text, and control characters,
// become \xNN.
std::string Shown(absl::string_view path);
// True for what a restore itself leaves beside and inside the data: safety copies and staging
// directories.
bool IsOwnLeftover(absl::string_view name);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_ENTRY_PATH_H_
