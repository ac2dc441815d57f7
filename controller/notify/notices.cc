#include "controller/notify/notices.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ember::controller {
namespace {

// A new one is a line here.
constexpr struct {
  const char* type;
  const char* in_message;  // only when the message has this
  bool urgent;
  const char* title;
} kTold[] = {
    {"recovery.escalated", "", true, "could not be recovered"},
    {"recovery.approval", "", true, "waits for your approval"},
    {"recovery.done", "", false, "died and is back"},
    {"recovery.moved", "", false, "was moved"},
    {"recovery.cancelled", "called off", false, "was not moved"},
    {"backup.orphan_failed", "", true, "data that a node was left with are not kept"},
    {"estate.frozen", "", true, "no automatic recovery"},
    {"estate.thawed", "", false, "automatic recovery again"},
    {"node.state", "-> DEAD", true, "is dead"},
    {"node.duplicate", "", true, "runs twice"},
    {"backup.failed", "", true, "the backup failed"},
    {"backup.damaged", "", true, "a backup is damaged"},
    {"verify.failed", "", true, "the verification failed"},
    {"restore.failed", "", true, "the restore failed"},
    {"check.failed", "", true, "the check of a vault failed"},
    {"gc.failed", "", true, "the garbage collection failed"},
    {"replicate.failed", "", true, "backups could not be copied"},
    {"vault.rolled_back", "", true, "an older state of a vault's disk was put back"},
    {"backup.copy_damaged", "", true, "a copy of a backup is damaged"},
    {"workload.start_failed", "", true, "could not be started"},
};

}  // namespace

std::optional<Notice> NoticeOf(const v1::Event& event, const std::string& workload) {
  for (const auto& row : kTold) {
    if (event.type() != row.type || !absl::StrContains(event.message(), row.in_message)) continue;
    if (absl::EndsWith(event.message(), kInMaintenance)) return std::nullopt;
    Notice notice;
    notice.title =
        absl::StrCat("Ember: ", workload.empty() ? event.subject() : workload, ": ", row.title);
    notice.urgent = row.urgent;
    notice.event = event;
    notice.workload = workload;
    return notice;
  }
  return std::nullopt;
}

}  // namespace ember::controller
