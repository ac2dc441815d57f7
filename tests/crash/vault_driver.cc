#include "tests/crash/vault_driver.h"

#include <filesystem>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::testing {
namespace {

// The workload of the backup that is made after a crash; its records overlap with the others'.
constexpr char kLaterWorkload[] = "later-9";
// The agent's clock is this much slow when the vault is opened after a crash.
constexpr absl::Duration kSetBack = absl::Hours(24 * 40);

absl::Status Wrong(absl::string_view what) { return absl::InternalError(what); }

VaultEvent::Outcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return VaultEvent::kDone;
  return absl::IsFailedPrecondition(status) ? VaultEvent::kRefused : VaultEvent::kFailed;
}

}  // namespace

vault::VaultOptions OptionsFor(const std::string& directory, Clock& clock) {
  return {.name = "nas",
          .directory = directory,
          .clock = &clock,
          .rules = {.deletion_budget_percent = 100}};
}

VaultDriver::VaultDriver(std::string directory, Clock& clock, Note note)
    : directory_(std::move(directory)), clock_(clock), note_(std::move(note)) {}

absl::Status VaultDriver::Open() {
  vault_.reset();
  EMBER_ASSIGN_OR_RETURN(vault_, vault::Vault::Open(OptionsFor(directory_, clock_)));
  return absl::OkStatus();
}

void VaultDriver::Say(VaultEvent::Verb verb, VaultEvent::Outcome outcome,
                      const PlannedBackup& backup) {
  note_({.verb = verb, .outcome = outcome, .backup = backup});
}

absl::Status VaultDriver::BackUp(const PlannedBackup& backup, const BackUpOptions& options,
                                 uint64_t epoch) {
  if (vault_ == nullptr) return NotOpen();
  EMBER_ASSIGN_OR_RETURN(VaultClient client, VaultClient::Open(*vault_, backup, epoch));
  note_({.verb = VaultEvent::kOpenSession,
         .outcome = VaultEvent::kDone,
         .backup = backup,
         .number = client.token()});
  Say(VaultEvent::kCommit, VaultEvent::kBegins, backup);
  const auto reply = ember::testing::BackUp(client, options);
  if (!reply.ok()) {
    Say(VaultEvent::kCommit, VaultEvent::kFailed, backup);
    return reply.status();
  }
  note_({.verb = VaultEvent::kCommit,
         .outcome = VaultEvent::kDone,
         .backup = backup,
         .number = reply->sequence(),
         .received_us = absl::ToUnixMicros(rpc::FromTimestamp(reply->received()))});
  return absl::OkStatus();
}

absl::Status VaultDriver::Abandon(const PlannedBackup& backup) {
  if (vault_ == nullptr) return NotOpen();
  EMBER_ASSIGN_OR_RETURN(VaultClient client, VaultClient::Open(*vault_, backup));
  EMBER_RETURN_IF_ERROR(client.Append(RecordsOf(backup)));
  return client.Sync();
}

absl::Status VaultDriver::Delete(const std::vector<PlannedBackup>& backups) {
  v1::VaultOrder order;
  for (const PlannedBackup& backup : backups) {
    Say(VaultEvent::kDelete, VaultEvent::kBegins, backup);
    order.mutable_delete_()->add_backup_ids(BackupIdOf(backup));
  }
  order.mutable_delete_()->set_by_person(true);
  order.mutable_delete_()->set_who("a test");
  const absl::Status status = Run(order).status();
  for (const PlannedBackup& backup : backups) Say(VaultEvent::kDelete, OutcomeOf(status), backup);
  return status;
}

absl::Status VaultDriver::Undelete(const std::vector<PlannedBackup>& backups) {
  v1::VaultOrder order;
  for (const PlannedBackup& backup : backups) {
    Say(VaultEvent::kUndelete, VaultEvent::kBegins, backup);
    order.mutable_undelete()->add_backup_ids(BackupIdOf(backup));
  }
  const absl::Status status = Run(order).status();
  for (const PlannedBackup& backup : backups) Say(VaultEvent::kUndelete, OutcomeOf(status), backup);
  return status;
}

absl::Status VaultDriver::Gc() {
  v1::VaultOrder order;
  order.mutable_gc();
  Say(VaultEvent::kGc, VaultEvent::kBegins, {});
  const auto result = Run(order);
  for (int i = 0; result.ok() && i < result->backups_size(); ++i) {
    EMBER_ASSIGN_OR_RETURN(const PlannedBackup purged, PlannedBackupOf(result->backups(i)));
    Say(VaultEvent::kPurge, VaultEvent::kDone, purged);
  }
  // A round may end well though a purge did not.
  const bool is_settled = result.ok() && result->problems().empty();
  Say(VaultEvent::kGc, is_settled ? VaultEvent::kDone : VaultEvent::kFailed, {});
  return result.status();
}

absl::Status VaultDriver::Spoil(int record, Damage damage) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<int> lost, DamagePackOf(directory_, record, damage));
  for (const int each : lost) {
    note_({.verb = VaultEvent::kDamage,
           .outcome = VaultEvent::kDone,
           .number = static_cast<uint64_t>(each)});
  }
  return absl::OkStatus();
}

absl::Status VaultDriver::SpoilIndex(IndexDamage damage) {
  Close();
  return DamageIndex(directory_, damage);
}

absl::Status VaultDriver::Repair(vault::ReplicaSource& other) {
  v1::VaultOrder order;
  order.mutable_check()->set_read_data(true);
  order.mutable_check()->set_repair(true);
  Say(VaultEvent::kRepair, VaultEvent::kBegins, {});
  const auto result = Run(order, &other);
  // A backup whose record cannot be read has no name that could be among the damaged ones.
  const bool some_unknown =
      result.ok() && absl::c_any_of(result->problems(), [](const std::string& problem) {
        return absl::StrContains(problem, "stored backups have a damaged record");
      });
  const bool is_whole = result.ok() && result->damaged_backups().empty() && !some_unknown;
  Say(VaultEvent::kRepair, is_whole ? VaultEvent::kDone : VaultEvent::kFailed, {});
  EMBER_RETURN_IF_ERROR(result.status());
  return result->problems().empty() ? absl::OkStatus() : absl::DataLossError(result->problems(0));
}

absl::StatusOr<std::vector<PlannedBackup>> VaultDriver::Replicate(
    vault::ReplicaSource& from, const std::vector<std::string>& workloads) {
  v1::VaultOrder order;
  order.mutable_replicate()->mutable_workloads()->Assign(workloads.begin(), workloads.end());
  EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, from.ListBackups());
  for (const v1::StoredBackup& item : list.items()) {
    EMBER_ASSIGN_OR_RETURN(const PlannedBackup backup, PlannedBackupOf(item.backup_id()));
    if (workloads.empty() || absl::c_linear_search(workloads, backup.workload))
      Say(VaultEvent::kCopy, VaultEvent::kBegins, backup);
  }
  EMBER_ASSIGN_OR_RETURN(const v1::VaultResult result, Run(order, &from));
  std::vector<PlannedBackup> copied;
  for (const std::string& id : result.backups()) {
    EMBER_ASSIGN_OR_RETURN(copied.emplace_back(), PlannedBackupOf(id));
    Say(VaultEvent::kCopy, VaultEvent::kDone, copied.back());
  }
  if (!result.problems().empty()) return absl::DataLossError(result.problems(0));
  return copied;
}

absl::StatusOr<v1::VaultResult> VaultDriver::Run(const v1::VaultOrder& order,
                                                 vault::ReplicaSource* other) {
  if (vault_ == nullptr) return NotOpen();
  vault::JobContext context;
  context.other = other;
  return vault_->Run(order, context);
}

namespace {

// The vault under test after a crash, driven by a client whose clock is slow.
class Recovery {
 public:
  Recovery(const std::string& directory, VaultLedger ledger, absl::Time now,
           vault::ReplicaSource* other)
      : directory_(directory),
        other_(other),
        ledger_(std::move(ledger)),
        driver_(directory, clock_, [this](const VaultEvent& event) { ledger_.Apply(event); }) {
    clock_.JumpWall(now - clock_.Now() - kSetBack);
  }

  absl::Status Run() {
    EMBER_RETURN_IF_ERROR(Reopen());
    if (other_ != nullptr) EMBER_RETURN_IF_ERROR(Mend());
    EMBER_RETURN_IF_ERROR(GoOn());
    EMBER_RETURN_IF_ERROR(driver_.Gc());
    EMBER_RETURN_IF_ERROR(ledger_.CheckShown(*driver_.vault()));
    driver_.Close();
    EMBER_ASSIGN_OR_RETURN(const auto store, vault::OpenDirectoryStore(directory_));
    EMBER_RETURN_IF_ERROR(CheckChains(*store));
    std::filesystem::remove_all(JoinPath(directory_, "index"));
    EMBER_RETURN_IF_ERROR(Reopen());
    return ledger_.CheckUndelete(*driver_.vault());
  }

 private:
  absl::Status Reopen() {
    EMBER_RETURN_IF_ERROR(driver_.Open());
    const std::string problem = driver_.vault()->Facts().problem();
    // Until it is repaired, a pack may be one that cannot be read.
    if (!problem.empty() && !ledger_.is_damaged())
      return Wrong(absl::StrCat("the vault has a problem: ", problem));
    return ledger_.CheckShown(*driver_.vault());
  }

  // Afterwards nothing is damaged any more, and no copy is wanting.
  absl::Status Mend() {
    EMBER_RETURN_IF_ERROR(driver_.Repair(*other_));
    EMBER_RETURN_IF_ERROR(driver_.Replicate(*other_).status());
    EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, other_->ListBackups());
    for (const v1::StoredBackup& item : list.items()) {
      EMBER_ASSIGN_OR_RETURN(const PlannedBackup backup, PlannedBackupOf(item.backup_id()));
      if ((ledger_.rows().at(backup).fates & VaultLedger::kAbsent) != 0)
        return Wrong(absl::StrCat(item.backup_id(), " was not copied"));
    }
    return ledger_.CheckShown(*driver_.vault());
  }

  // What was interrupted is done again, and something new.
  absl::Status GoOn() {
    std::vector<PlannedBackup> backups = {{kLaterWorkload, 2}};
    for (const auto& [backup, row] : ledger_.rows()) {
      if ((row.fates & ~(VaultLedger::kAbsent | VaultLedger::kStored)) == 0 &&
          (row.fates & VaultLedger::kAbsent) != 0) {
        backups.push_back(backup);
      }
    }
    for (const PlannedBackup& backup : backups) {
      const uint64_t sequence = ledger_.sequence_max();
      const int64_t received = ledger_.received_us_max();
      const uint64_t token = ledger_.TokenOf(backup.workload);
      const bool is_new = backup.workload == kLaterWorkload;
      EMBER_RETURN_IF_ERROR(driver_.BackUp(backup, {}, kCrashEpoch));
      if (ledger_.TokenOf(backup.workload) <= token) return Wrong("a fencing token went back");
      if (is_new && (ledger_.rows().at(backup).sequence <= sequence ||
                     ledger_.rows().at(backup).received_us <= received)) {
        return Wrong("sequence or receive time went back");
      }
      EMBER_RETURN_IF_ERROR(CheckRestores(*driver_.vault(), backup));
    }
    const absl::Status stale = driver_.BackUp({kLaterWorkload, 3}, {}, kCrashEpoch - 1);
    return absl::IsAborted(stale) ? absl::OkStatus()
                                  : Wrong(absl::StrCat("an old epoch: ", stale.ToString()));
  }

  static constexpr uint64_t kCrashEpoch = 5;

  const std::string directory_;
  vault::ReplicaSource* const other_;
  FakeClock clock_;
  VaultLedger ledger_;
  VaultDriver driver_;
};

}  // namespace

absl::Status CheckRecovery(const std::string& directory, VaultLedger ledger, absl::Time now,
                           vault::ReplicaSource* other) {
  return Recovery(directory, std::move(ledger), now, other).Run();
}

}  // namespace ember::testing
