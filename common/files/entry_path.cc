#include "common/files/entry_path.h"

#include <limits.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"

namespace ember::files {
namespace {

// Length of the UTF-8 character at the start of `text`, 0 when there is none.
size_t Utf8Length(absl::string_view text) {
  const unsigned char first = text[0];
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = text[1];
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || beyond ? 0 : length;
}

}  // namespace

absl::StatusOr<std::string> EntryPath(absl::string_view absolute) {
  if (!absl::StartsWith(absolute, "/") || absl::StrContains(absolute, absl::string_view("\0", 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("path '", Shown(absolute).substr(1), "': it is not absolute"));
  }
  std::string path;
  for (absl::string_view part : absl::StrSplit(absolute, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("path '", Shown(absolute).substr(1), "': it has a '..' in it"));
    }
    path = Child(path, part);
  }
  return path;
}

absl::Status CheckEntryPath(absl::string_view path) {
  if (path.empty()) return absl::OkStatus();
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > NAME_MAX ||
        absl::StrContains(part, absl::string_view("\0", 1))) {
      return Damaged("the list of files", absl::StrCat("'", Shown(path), "' is no path of a file"));
    }
  }
  return absl::OkStatus();
}

bool IsAtOrBelow(absl::string_view path, absl::string_view top) {
  if (top.empty()) return true;
  return absl::StartsWith(path, top) && (path.size() == top.size() || path[top.size()] == '/');
}

absl::string_view Below(absl::string_view path, absl::string_view top) {
  path.remove_prefix(top.size());
  if (!top.empty() && !path.empty()) path.remove_prefix(1);
  return path;
}

std::pair<absl::string_view, absl::string_view> SplitLast(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string Child(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

std::string Shown(absl::string_view path) {
  std::string shown = "/";
  while (!path.empty()) {
    const size_t length = Utf8Length(path);
    const unsigned char first = path[0];
    if (length == 0 || first < 0x20 || first == 0x7f) {
      absl::StrAppendFormat(&shown, "\\x%02x", first);
      path.remove_prefix(1);
    } else {
      absl::StrAppend(&shown, path.substr(0, length));
      path.remove_prefix(length);
    }
  }
  return shown;
}

bool IsOwnLeftover(absl::string_view name) {
  return absl::StrContains(name, ".ember-safety-") || absl::StartsWith(name, ".ember-restore-");
}

}  // namespace ember::files
