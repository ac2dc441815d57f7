#include "controller/protect/deletable.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"
#include "controller/recover/saga.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::Status Kept(const std::string& id, absl::string_view why, absl::string_view hint) {
  return WithHint(
      absl::FailedPreconditionError(absl::StrCat("backup ", id, " cannot be deleted: ", why)),
      hint);
}

struct Obstacle {
  std::string why;
  std::string hint;
};

std::optional<Obstacle> ObstacleTo(const EmState& em, const v1::Backup& backup,
                                   const std::map<std::string, std::string>& in_use)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (backup.trashed())
    return Obstacle{"it is in the trash already",
                    absl::StrCat("ember backup undelete ", backup.id())};
  if (backup.pinned())
    return Obstacle{"it is pinned", absl::StrCat("ember backup unpin ", backup.id())};
  if (rpc::FromTimestamp(backup.held_until()) > em.clock->Now())
    return Obstacle{
        absl::StrCat("a policy's `hold` keeps it until ",
                     absl::FormatTime("%Y-%m-%d %H:%M UTC", rpc::FromTimestamp(backup.held_until()),
                                      absl::UTCTimeZone())),
        "delete it after that time; its vault refuses everybody before"};
  if (const auto user = in_use.find(backup.id()); user != in_use.end())
    return Obstacle{absl::StrCat("it is in use by ", user->second),
                    "try again when that has ended"};
  return std::nullopt;
}

}  // namespace

std::map<std::string, std::string> BackupsInUse(const EmState& em) {
  std::map<std::string, std::string> in_use;
  for (const auto& [id, run] : em.catalog->runs()) {
    if (!IsOpenRun(run) || IsVaultJob(run.run())) continue;
    in_use.emplace(run.run().backup_id(), id);
    if (run.has_diff_request()) in_use.emplace(run.diff_request().other(), id);
  }
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (IsOpen(recovery.recovery().state())) in_use.emplace(recovery.recovery().backup_id(), id);
  }
  return in_use;
}

std::string WhyNotDeletable(const EmState& em, const rec::BackupRecord& backup,
                            const std::map<std::string, std::string>& in_use) {
  const std::optional<Obstacle> obstacle = ObstacleTo(em, backup.backup(), in_use);
  return obstacle.has_value() ? obstacle->why : "";
}

absl::Status CheckDeletable(const EmState& em, const rec::BackupRecord& record) {
  const v1::Backup& backup = record.backup();
  if (const std::optional<Obstacle> obstacle = ObstacleTo(em, backup, BackupsInUse(em)))
    return Kept(backup.id(), obstacle->why, obstacle->hint);
  if (!IsStored(backup))
    return Kept(backup.id(), "it was never completed, its vault holds nothing to delete",
                "what a failed backup left in the vault goes with `ember vault gc`");
  const std::vector<const rec::BackupRecord*> good = GoodBackups(em, backup.workload());
  const std::string newer =
      absl::StrCat("make a newer one first: ember backup run ", backup.workload());
  if (!good.empty() && good[0]->backup().id() == backup.id())
    return Kept(backup.id(),
                absl::StrCat("it is the newest good backup of '", backup.workload(), "'"), newer);
  // What is doubtful or incomplete is all there is: part of it may be had back.
  if (good.empty())
    return Kept(backup.id(), absl::StrCat("no backup of '", backup.workload(), "' is good"), newer);
  return absl::OkStatus();
}

absl::Duration TrashWindow(const EmState& em, const std::string& vault) {
  const v1::VaultSpec* spec = FindVault(em.catalog->estate().estate(), vault);
  const int64_t seconds = spec == nullptr ? 0 : spec->trash_seconds();
  return seconds > 0 ? absl::Seconds(seconds) : absl::Hours(24) * kTrashDays;
}

}  // namespace ember::controller
