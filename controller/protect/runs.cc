#include "controller/protect/runs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/damage.h"
#include "controller/protect/replicas.h"
#include "controller/protect/reserved_backups.h"
#include "controller/protect/rollbacks.h"
#include "controller/protect/run_orders.h"
#include "controller/protect/stored_backup.h"
#include "controller/protect/vault_jobs.h"
#include "controller/recover/recoveries.h"
#include "controller/recover/saga.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Starts that belong to no recovery: nobody else waits for their result.
constexpr char kByHand[] = "by-hand/";

// What is in a backup, or differs between two, or a part of a file.
bool IsListing(const rec::RunRecord& run) {
  const std::string& kind = run.run().kind();
  return kind == "files" || kind == "diff" || kind == "read";
}

bool Retryable(int code) {
  const auto status = static_cast<absl::StatusCode>(code);
  return status == absl::StatusCode::kUnavailable || status == absl::StatusCode::kAborted ||
         status == absl::StatusCode::kDeadlineExceeded || status == absl::StatusCode::kCancelled;
}

// One open run while it is looked at.
class RunStep {
 public:
  RunStep(EmState& em, rec::RunRecord run) : em_(em), record_(std::move(run)) {}

  absl::Status Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (record_.order_id().empty()) return Send();
    const auto order = em_.catalog->orders().find(record_.order_id());
    if (order == em_.catalog->orders().end())
      return Fail(absl::InternalError("its order vanished"));
    if (!order->second.finished()) {
      const auto node = em_.catalog->nodes().find(order->second.node());
      const bool dead = node == em_.catalog->nodes().end() ||
                        node->second.state() == v1::NodeState::DEAD ||
                        node->second.state() == v1::NodeState::REVOKED;
      if (!dead) return absl::OkStatus();
      batch_.Erase(order->second);
      return Fail(absl::UnavailableError(
          absl::StrCat("node ", order->second.node(), " died while it ran")));
    }
    batch_.Erase(order->second);
    const v1::OrderUpdate update = order->second.last_update();
    StartAgainAfter(order->second);
    MarkDamageMet(em_, order->second.order(), update, &batch_);
    if (update.state() == v1::OrderUpdate::FAILED) {
      if (update.has_verify()) ShowDamage(update.verify());
      return FailedOrder(update);
    }
    if (update.has_backup()) return TakeBackup(update.backup());
    if (update.has_restore()) *run().mutable_restore() = update.restore();
    if (update.has_verify()) return TakeVerify(update.verify());
    if (update.has_files()) *run().mutable_files() = update.files();
    if (update.has_diff()) *run().mutable_diff() = update.diff();
    if (update.has_part()) *run().mutable_part() = update.part();
    if (IsVaultJob(run())) return TakeVault(update.vault());
    const bool holes = update.restore().holes_size() > 0;
    for (const v1::PathProblem& hole : update.restore().holes()) *run().add_problems() = hole;
    return End(holes ? v1::Outcome::PARTIAL : v1::Outcome::OK,
               absl::StrCat("restored ", run().backup_id()));
  }

 private:
  // An in-place restore, whatever became of it, left the service stopped.
  void StartAgainAfter(const rec::OrderRecord& restore) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const v1::RestoreOrder& action = restore.order().restore();
    const auto workload = em_.catalog->workloads().find(run().workload());
    const bool in_place =
        restore.order().has_restore() && action.target_directory().empty() && !action.dry_run();
    if (!in_place || workload == em_.catalog->workloads().end()) return;
    if (workload->second.held() || workload->second.node() != restore.node()) return;
    if (const v1::WorkloadSpec* spec = em_.catalog->FindWorkload(run().workload())) {
      batch_.Put(StartOrder(em_, *spec, workload->second, run().id()));
    }
  }

  v1::Run& run() { return *record_.mutable_run(); }

  absl::Status Commit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    batch_.Put(record_);
    return em_.Commit(batch_);
  }

  absl::Status End(v1::Outcome::Value outcome, const std::string& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    run().set_outcome(outcome);
    *run().mutable_ended() = rpc::ToTimestamp(em_.clock->Now());
    record_.clear_order_id();
    if (ChangesNothing(record_)) {
      ForgetListings();
      return Commit();
    }
    NoteVaultJobEnd(em_, record_, &batch_);
    if (message.empty()) return Commit();
    const std::string subject = !run().backup_id().empty() ? run().backup_id()
                                : !run().vault().empty()   ? run().vault()
                                                           : run().id();
    batch_.AddEvent(
        absl::StrCat(run().kind(), ".", absl::AsciiStrToLower(v1::Outcome::Value_Name(outcome))),
        subject, message, run().workload());
    return Commit();
  }

  absl::Status Fail(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    run().set_error(std::string(why.message()));
    run().set_code(static_cast<int>(why.code()));
    const auto it = em_.catalog->backups().find(run().backup_id());
    // What is stored stays what it is; damage that was met is marked already.
    if (run().kind() == "backup" && it != em_.catalog->backups().end()) {
      rec::BackupRecord backup = it->second;
      if (!ReadBackIsOpen(record_)) backup.mutable_backup()->set_outcome(v1::Outcome::FAILED);
      if (!backup.restore_failed()) backup.mutable_backup()->set_error(run().error());
      batch_.Put(backup);
    }
    return End(v1::Outcome::FAILED, std::string(why.message()));
  }

  absl::Status FailedOrder(const v1::OrderUpdate& update) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const bool again = run().kind() == "backup" && Retryable(update.code()) &&
                       record_.attempt() < kBackupAttemptsMax;
    if (!again) {
      if (IsVaultJob(run()))
        TakeVaultFailure(em_, record_, static_cast<absl::StatusCode>(update.code()), &batch_);
      return Fail(absl::Status(static_cast<absl::StatusCode>(update.code()), update.error()));
    }
    const absl::Duration wait = absl::Seconds(kBackupRetrySeconds) * (1 << (record_.attempt() - 1));
    *record_.mutable_not_before() = rpc::ToTimestamp(em_.clock->Now() + wait);
    record_.clear_order_id();
    run().set_outcome(v1::Outcome::PENDING);
    run().set_error(absl::StrCat("attempt ", record_.attempt(), " failed: ", update.error()));
    batch_.AddEvent("backup.retry", run().workload(), run().error(), run().workload());
    return Commit();
  }

  // Listings are large and of use for the moment only: the oldest make way.
  void ForgetListings() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    std::vector<std::pair<absl::Time, std::string>> ended;
    for (const auto& [id, other] : em_.catalog->runs()) {
      if (IsListing(other) && !IsOpenRun(other))
        ended.emplace_back(rpc::FromTimestamp(other.run().ended()), id);
    }
    std::sort(ended.begin(), ended.end());
    for (size_t i = 0; i + kListingsKept <= ended.size(); ++i)
      batch_.Erase(em_.catalog->runs().at(ended[i].second));
  }

  absl::Status Send() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (rpc::FromTimestamp(record_.not_before()) > em_.clock->Now()) return absl::OkStatus();
    if (IsVaultJob(run()) ? VaultBusy(em_, record_) : WorkloadBusy()) return absl::OkStatus();
    if (const std::string recovery = RecoveryInTheWay(); !recovery.empty())
      return Wait(absl::UnavailableError(absl::StrCat("waits for the end of recovery ", recovery)));
    v1::Order order;
    const FilledOrder filled = FillOrder(em_, &record_, &order, &batch_);
    const absl::StatusOr<std::string>& node = filled.node;
    if (!node.ok())
      return absl::IsUnavailable(node.status()) &&
                     (WaitsForItsVault() || filled.vault_is_new || ReadBackIsOpen(record_))
                 ? Wait(node.status())
                 : Fail(node.status());
    record_.set_attempt(record_.attempt() + 1);
    order.set_id(absl::StrCat(run().id(), "/", IsVaultJob(run()) ? run().vault() : run().workload(),
                              "/", run().kind(), "/", record_.attempt()));
    EMBER_RETURN_IF_ERROR(GrantReading(em_, *node, &order));
    batch_.Put(NewOrder(em_, *node, order));
    record_.set_order_id(order.id());
    run().set_node(*node);
    run().set_outcome(v1::Outcome::RUNNING);
    run().clear_error();
    DropReservedOfThis();
    return Commit();
  }

  // From now on its agent need not make it by itself. Until then it may, behind a link that is cut.
  void DropReservedOfThis() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto workload = em_.catalog->workloads().find(run().workload());
    if (record_.policy().empty() || run().kind() != "backup" ||
        workload == em_.catalog->workloads().end())
      return;
    rec::WorkloadRecord updated = workload->second;
    DropReserved(record_.policy(), em_.clock->Now(), &updated);
    batch_.Put(updated);
  }

  // A replication that waited for its source would hold up those from other ones; it comes again.
  bool WaitsForItsVault() const {
    return (IsScheduled(record_) && record_.run().kind() != "replicate") ||
           !record_.orphan_node().empty();
  }

  // What nobody waits for waits for its node and vault; the reason shows in the run.
  absl::Status Wait(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (run().error() == why.message()) return absl::OkStatus();
    run().set_error(std::string(why.message()));
    return Commit();
  }

  // A recovery goes before what would touch the data.
  std::string RecoveryInTheWay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (!TouchesData(record_) || ReadBackIsOpen(record_)) return "";
    const rec::RecoveryRecord* open = OpenRecoveryOf(em_, record_.run().workload());
    if (open == nullptr || open->recovery().id() == record_.recovery_id()) return "";
    return open->recovery().id();
  }

  // One long order per workload at a time.
  bool WorkloadBusy() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (IsListing(record_)) return false;  // short, and a person waits for it
    for (const auto& [id, other] : em_.catalog->runs()) {
      if (other.run().workload() == record_.run().workload() && !other.order_id().empty() &&
          IsOpenRun(other) && !IsVaultJob(other.run()) && !IsListing(other))
        return true;
    }
    return false;
  }

  absl::Status TakeBackup(const v1::BackupResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto it = em_.catalog->backups().find(run().backup_id());
    if (it == em_.catalog->backups().end())
      return Fail(absl::InternalError("its backup record vanished"));
    rec::BackupRecord record = it->second;
    const absl::StatusOr<bool> filled = FillStored(em_, result, &record);
    if (!filled.ok()) {
      batch_.AddEvent("backup.refused", run().backup_id(), std::string(filled.status().message()),
                      run().workload());
      return Fail(filled.status());
    }
    const bool damaged = *filled;
    const v1::Backup& backup = record.backup();
    batch_.Put(record);
    NoteCommit(em_, record, &batch_);
    *run().mutable_backup() = backup;
    *run().mutable_problems() = backup.problems();
    run().set_problems_total(backup.problems_total());
    if (!result.read_back_ok() && !damaged) {
      v1::OrderUpdate update;
      update.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
      update.set_error(absl::StrCat(
          backup.id(), " is stored, and not read back to its end: ", result.read_back_error()));
      return FailedOrder(update);
    }
    if (damaged) {
      run().set_error(
          absl::StrCat("stored, but reading it back failed: ", result.read_back_error()));
      run().set_code(static_cast<int>(absl::StatusCode::kDataLoss));
      return End(v1::Outcome::FAILED, run().error());
    }
    return EndBackup(backup);
  }

  // It is stored and read back.
  absl::Status EndBackup(const v1::Backup& backup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto workload = em_.catalog->workloads().find(run().workload());
    if (backup.outcome() == v1::Outcome::OK && !backup.orphan() &&
        workload != em_.catalog->workloads().end()) {
      rec::WorkloadRecord updated = workload->second;
      updated.set_last_good_backup(backup.id());
      *updated.mutable_last_good_backup_time() = backup.created();
      updated.clear_retention_judged();  // an older one may go now
      batch_.Put(updated);
    }
    return End(backup.outcome(),
               absl::StrCat(backup.files(), " files, ", backup.size_bytes(), " bytes, ",
                            backup.added_bytes(), " added",
                            backup.problems_total() > 0
                                ? absl::StrCat(", ", backup.problems_total(), " problems")
                                : ""));
  }

  // All that a verification found, which went on behind the first damage.
  void ShowDamage(const v1::VerifyResult& result) {
    *run().mutable_verify() = result;
    *run().mutable_problems() = result.damaged();
    run().set_problems_total(result.damaged_total());
    run().mutable_verify()->clear_damaged();
  }

  absl::Status TakeVerify(const v1::VerifyResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    *run().mutable_verify() = result;
    const auto it = em_.catalog->backups().find(run().backup_id());
    if (it != em_.catalog->backups().end() && VerifiesCopy(record_, it->second)) {
      rec::BackupRecord record = it->second;
      NoteCopyVerified(&record, run().vault(), VerifiedLevel(), em_.clock->Now());
      batch_.Put(record);
    } else if (it != em_.catalog->backups().end()) {
      rec::BackupRecord record = it->second;
      v1::Backup& backup = *record.mutable_backup();
      *backup.mutable_verified_at() = rpc::ToTimestamp(em_.clock->Now());
      if (record_.sample_percent() == 0) {
        backup.set_verified(true);
        backup.clear_error();
        record.clear_restore_failed();
      }
      // A sample says that nothing is wrong with what it read, not that all is right.
      if (record_.sample_percent() == 0 || backup.verified_level() < "L2")
        backup.set_verified_level(VerifiedLevel());
      batch_.Put(record);
      if (ReadBackIsOpen(record_)) {
        *run().mutable_backup() = record.backup();
        run().clear_error();
        return EndBackup(record.backup());
      }
    }
    const std::string skipped =
        result.files_skipped() == 0
            ? ""
            : absl::StrCat(", a sample: ", result.files_skipped(), " files were not read");
    return End(v1::Outcome::OK, absl::StrCat(result.files(), " files, ", result.bytes(),
                                             " bytes read and checked", skipped));
  }

  std::string VerifiedLevel() const { return record_.sample_percent() == 0 ? "L2" : "L2 sampled"; }

  absl::Status TakeVault(const v1::VaultResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const absl::StatusOr<std::string> done = TakeVaultResult(em_, record_, result, &batch_);
    *run().mutable_vault_result() = result;
    // As many names as there are backups, in each of many runs.
    if (run().kind() == "replicate" && record_.who().empty())
      run().mutable_vault_result()->clear_backups();
    return done.ok() ? End(v1::Outcome::OK, *done) : Fail(done.status());
  }

  EmState& em_;
  rec::RunRecord record_;
  Batch batch_;
};

absl::Status DropStartsByHand(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  Batch batch;
  for (const auto& [id, order] : em.catalog->orders()) {
    if (!absl::StartsWith(id, kByHand)) continue;
    const auto node = em.catalog->nodes().find(order.node());
    const bool lost = node == em.catalog->nodes().end() || node->second.revoked() ||
                      node->second.state() == v1::NodeState::DEAD;
    if (!order.finished() && !lost) continue;
    batch.Erase(order);
    v1::OrderUpdate update = order.last_update();
    if (update.state() == v1::OrderUpdate::DONE) continue;
    if (lost) update.set_error(absl::StrCat("node ", order.node(), " died before"));
    batch.AddEvent("workload.start_failed", order.order().workload(), update.error(),
                   order.order().workload());
  }
  return em.Commit(batch);
}

// Clang's analysis does not see that a member reference is this `em`.
absl::Status AdvanceRun(EmState& em, rec::RunRecord run) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return RunStep(em, std::move(run)).Advance();
}

absl::Status ForgetOldRuns(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (em.catalog->runs().size() <= kEndedRunsKept + kEndedRunsKept / 4) return absl::OkStatus();
  std::vector<std::pair<absl::Time, std::string>> ended;
  for (const auto& [id, run] : em.catalog->runs()) {
    if (!IsOpenRun(run)) ended.emplace_back(rpc::FromTimestamp(run.run().ended()), id);
  }
  if (ended.size() <= kEndedRunsKept) return absl::OkStatus();
  std::sort(ended.begin(), ended.end());
  Batch batch;
  for (size_t i = 0; i + kEndedRunsKept < ended.size(); ++i)
    batch.Erase(em.catalog->runs().at(ended[i].second));
  return em.Commit(batch);
}

}  // namespace

bool IsOpenRun(const rec::RunRecord& run) {
  return run.run().outcome() == v1::Outcome::PENDING || run.run().outcome() == v1::Outcome::RUNNING;
}

bool TouchesData(const rec::RunRecord& run) {
  if (run.run().kind() == "backup") return true;
  const v1::RestoreRequest& restore = run.restore_request();
  return run.run().kind() == "restore" && !restore.dry_run() && restore.to_directory().empty();
}

bool ChangesNothing(const rec::RunRecord& run) {
  return IsListing(run) || run.restore_request().dry_run();
}

rec::OrderRecord StartOrder(const EmState& em, const v1::WorkloadSpec& spec,
                            const rec::WorkloadRecord& workload, absl::string_view cause) {
  v1::Order start;
  start.set_id(absl::StrCat(kByHand, cause, "/", spec.name(), "/start/",
                            absl::ToUnixMillis(em.clock->Now())));
  start.set_workload(spec.name());
  start.set_epoch(workload.epoch());
  *start.mutable_start()->mutable_spec() = spec;
  start.mutable_start()->set_fresh(true);
  return NewOrder(em, workload.node(), std::move(start));
}

rec::RunRecord NewRun(const EmState& em, absl::string_view kind, const std::string& workload) {
  rec::RunRecord record;
  v1::Run& run = *record.mutable_run();
  for (int n = 0; run.id().empty() || em.catalog->runs().count(run.id()) > 0; ++n) {
    run.set_id(absl::StrCat(
        "run-", absl::FormatTime("%Y%m%d-%H%M%E3S", em.clock->Now(), absl::UTCTimeZone()), "-", n));
  }
  run.set_kind(std::string(kind));
  run.set_workload(workload);
  run.set_outcome(v1::Outcome::PENDING);
  *run.mutable_started() = rpc::ToTimestamp(em.clock->Now());
  return record;
}

absl::Status AdvanceRuns(EmState& em) {
  std::vector<rec::RunRecord> open;
  for (const auto& [id, run] : em.catalog->runs()) {
    if (IsOpenRun(run)) open.push_back(run);
  }
  for (rec::RunRecord& run : open) EMBER_RETURN_IF_ERROR(AdvanceRun(em, std::move(run)));
  EMBER_RETURN_IF_ERROR(DropStartsByHand(em));
  return ForgetOldRuns(em);
}

}  // namespace ember::controller
