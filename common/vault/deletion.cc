#include "common/vault/deletion.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/base/deletion_budget.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/job.h"

namespace ember::vault {
namespace {

constexpr absl::Duration kBudgetWindow = absl::Hours(24);

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

absl::Status CheckHeld(const std::string& backup_id, const StoredBackups::Entry& entry,
                       absl::Duration min_retention, absl::Time now) {
  const absl::Time until = std::max(entry.retain_until, entry.received + min_retention);
  if (until <= now) return absl::OkStatus();
  const absl::string_view rule =
      until == entry.retain_until ? "it is held" : "the vault's min_retention keeps it";
  return WithHint(absl::FailedPreconditionError(absl::StrCat(
                      "backup ", backup_id, " cannot be deleted: ", rule, " until ", When(until))),
                  "delete it after that time; nothing was deleted");
}

}  // namespace

absl::Status DeletionJobs::CheckBudget(int64_t wanted, int percent, absl::Time now) {
  const int64_t deleted = backups_.CountDeletedByRule(now - kBudgetWindow);
  const int64_t left = DeletionBudget(percent, backups_.size(), deleted);
  if (wanted <= left) return absl::OkStatus();
  return WithHint(
      absl::FailedPreconditionError(absl::StrCat(
          "deleting ", wanted, " backups is beyond the vault's deletion budget: ", deleted,
          " went within the last 24 hours, ", left, " more may (", percent, " % a day)")),
      "look at what is to be deleted and why; a person may delete it with `ember backup delete`");
}

absl::StatusOr<v1::VaultResult> DeletionJobs::Delete(const v1::DeleteBackupsJob& job,
                                                     const VaultRules& rules,
                                                     const JobContext& context) {
  absl::MutexLock lock(&mu_);
  const absl::Time now = state_.TimeAt(clock_.Now());
  const std::set<std::string> ids(job.backup_ids().begin(), job.backup_ids().end());
  std::vector<std::string> wanted;
  int64_t fresh = 0;
  for (const std::string& id : ids) {
    const auto entry = backups_.Find(id);
    if (!entry && !backups_.FindPurged(id)) return BackupNotFound(id);
    if (!entry) continue;
    wanted.push_back(id);
    // Done already, but perhaps not durably.
    if (entry->deletion) continue;
    EMBER_RETURN_IF_ERROR(CheckHeld(id, *entry, rules.min_retention, now));
    ++fresh;
  }
  if (!job.by_person() && fresh > 0)
    EMBER_RETURN_IF_ERROR(CheckBudget(fresh, rules.deletion_budget_percent, now));
  const Deletion deletion{
      .time = now, .by_person = job.by_person(), .who = job.who(), .why = job.why()};
  for (const std::string& id : wanted) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context));
    const absl::Status moved = backups_.MoveToTrash(id, deletion);
    if (absl::IsNotFound(moved) && backups_.FindPurged(id)) continue;
    EMBER_RETURN_IF_ERROR(moved);
    LogInfo("vault", "a backup was deleted",
            {{"backup", id}, {"who", job.who()}, {"why", job.why()}});
  }
  v1::VaultResult result;
  for (const std::string& id : ids) result.add_backups(id);
  return result;
}

absl::StatusOr<v1::VaultResult> DeletionJobs::Undelete(const v1::UndeleteBackupsJob& job,
                                                       const JobContext& context) {
  absl::MutexLock lock(&mu_);
  const std::set<std::string> ids(job.backup_ids().begin(), job.backup_ids().end());
  for (const std::string& id : ids) {
    if (backups_.Find(id)) continue;
    if (!backups_.FindPurged(id)) return BackupNotFound(id);
    return WithHint(absl::NotFoundError(absl::StrCat("backup ", id,
                                                     " is gone: its time in the "
                                                     "trash is over")),
                    "look for a copy in another vault");
  }
  v1::VaultResult result;
  for (const std::string& id : ids) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context));
    EMBER_RETURN_IF_ERROR(backups_.Undelete(id));
    LogInfo("vault", "a backup was undeleted", {{"backup", id}});
    result.add_backups(id);
  }
  return result;
}

}  // namespace ember::vault
