#include "common/base/ids.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/limits.h"

namespace ember {
namespace {

constexpr char kOffline[] = "offline/";

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; }

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

bool IsStamp(absl::string_view stamp) {
  if (stamp.size() < 15) return false;
  for (size_t i = 0; i < stamp.size(); ++i) {
    if (i == 8 || i == 15 ? stamp[i] != '-' : !absl::ascii_isdigit(stamp[i])) return false;
  }
  return stamp.size() != 16;
}

}  // namespace

absl::Status ValidateName(absl::string_view kind, absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError(absl::StrCat(kind, " name is empty"));
  if (name.size() > kNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(kind, " name is longer than ", kNameBytesMax, " bytes"));
  }
  const bool bad_start = name[0] == '.' || name[0] == '-';
  if (bad_start || !std::all_of(name.begin(), name.end(), IsNameByte)) {
    return absl::InvalidArgumentError(absl::StrCat(
        kind, " name '", name, "' is not valid: letters, digits, '.', '_' and '-' only, not starting with '.' or '-'"));
  }
  return absl::OkStatus();
}

std::string BackupId(absl::string_view workload, absl::Time created, int n) {
  const std::string stamp = absl::FormatTime("%Y%m%d-%H%M%S", created, absl::UTCTimeZone());
  return n == 0 ? absl::StrCat(workload, "/", stamp) : absl::StrCat(workload, "/", stamp, "-", n);
}

absl::StatusOr<BackupIdParts> ParseBackupId(absl::string_view id) {
  const size_t slash = id.find('/');
  if (slash == absl::string_view::npos || !ValidateName("workload", id.substr(0, slash)).ok() ||
      !IsStamp(id.substr(slash + 1))) {
    return absl::InvalidArgumentError(absl::StrCat("'", id, "' is not a backup id (WORKLOAD/YYYYMMDD-HHMMSS)"));
  }
  return BackupIdParts{std::string(id.substr(0, slash)), std::string(id.substr(slash + 1))};
}

std::string OfflineOrderId(absl::string_view backup_id) { return absl::StrCat(kOffline, backup_id); }

std::string BackupOfOfflineOrder(absl::string_view order_id) {
  return absl::ConsumePrefix(&order_id, kOffline) ? std::string(order_id) : "";
}

std::vector<absl::string_view> SplitIds(absl::string_view joined) {
  std::vector<absl::string_view> ids;
  ids.reserve(joined.size() / kRecordIdBytes);
  for (; joined.size() >= kRecordIdBytes; joined.remove_prefix(kRecordIdBytes)) {
    ids.push_back(joined.substr(0, kRecordIdBytes));
  }
  return ids;
}

std::string DomainOfNode(absl::string_view node) { return absl::StrCat("node-", node); }

std::string Nearest(absl::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace ember
