#include "common/backup/entry_path.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/base/limits.h"

namespace ember::backup {

bool PathLess(absl::string_view a, absl::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  const auto [at_a, at_b] = std::mismatch(a.begin(), a.begin() + common, b.begin());
  if (at_a == a.begin() + common) return a.size() < b.size();
  // The slash ends a component, so it comes before every byte a name can have.
  if (*at_a == '/' || *at_b == '/') return *at_a == '/';
  return static_cast<unsigned char>(*at_a) < static_cast<unsigned char>(*at_b);
}

absl::Status ValidateEntryPath(absl::string_view path) {
  if (path.empty()) return absl::OkStatus();
  if (path.size() > kPathBytesMax) return absl::InvalidArgumentError("a path is too long");
  bool good = path.find('\0') == absl::string_view::npos;
  for (size_t at = 0; good && at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const absl::string_view name = path.substr(at, end - at);
    good = !name.empty() && name != "." && name != "..";
    at = end + 1;
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("not a path of an entry: ", ShownPath(path)));
}

bool IsWithin(absl::string_view path, absl::string_view ancestor) {
  if (ancestor.empty()) return true;
  return absl::StartsWith(path, ancestor) &&
         (path.size() == ancestor.size() || path[ancestor.size()] == '/');
}

std::string ShownPath(absl::string_view path) {
  return absl::StrCat("/", absl::Utf8SafeCEscape(path));
}

bool PathFilter::Wants(absl::string_view path) const {
  if (all()) return true;
  return std::any_of(paths_.begin(), paths_.end(),
                     [path](const std::string& p) { return IsWithin(path, p); });
}

bool PathFilter::MayWantBetween(absl::string_view first, const std::string* last) const {
  if (all()) return true;
  return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& wanted) {
    if (last != nullptr && PathLess(*last, wanted)) return false;
    return !PathLess(wanted, first) || IsWithin(first, wanted);
  });
}

}  // namespace ember::backup
