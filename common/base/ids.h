// Names and ids: their grammar, checked wherever one enters or leaves a process.
#ifndef EMBER_COMMON_BASE_IDS_H_
#define EMBER_COMMON_BASE_IDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ember {

// OK when `name` is 1 to kNameBytesMax of [a-z0-9A-Z._-], not starting with '.' or '-'. INVALID_ARGUMENT says what is
// wrong; `kind` ("node", "workload") goes into the message. Names become path components, so this is a safety check.
absl::Status ValidateName(absl::string_view kind, absl::string_view name);

// WORKLOAD/YYYYMMDD-HHMMSS[-n]; the instant is UTC.
std::string BackupId(absl::string_view workload, absl::Time created, int n = 0);
struct BackupIdParts {
  std::string workload;
  std::string stamp;  // YYYYMMDD-HHMMSS[-n]
};
// INVALID_ARGUMENT when it has not that form.
absl::StatusOr<BackupIdParts> ParseBackupId(absl::string_view id);

// The order under which an agent makes the reserved backup `backup_id` by itself, without a controller.
std::string OfflineOrderId(absl::string_view backup_id);
// The backup of such an order; empty for any other order.
std::string BackupOfOfflineOrder(absl::string_view order_id);

// The record ids (kRecordIdBytes each) that stand joined in `joined`, whose bytes they share; an incomplete one at the
// end is left out.
std::vector<absl::string_view> SplitIds(absl::string_view joined);

// The dedup domain of what `node` backs up: records are shared within it, and nobody else writes to it.
std::string DomainOfNode(absl::string_view node);

// The entry of `known` with the smallest edit distance to `word`, or "" when nothing is near (distance over a third
// of the word's length, at least 2).
std::string Nearest(absl::string_view word, const std::vector<std::string>& known);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_IDS_H_
