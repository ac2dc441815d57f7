#include "controller/protect/run_orders.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/beats.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class OrderFiller {
 public:
  OrderFiller(EmState& em, rec::RunRecord* record, v1::Order* order, Batch* batch)
      : em_(em), record_(*record), order_(order), batch_(*batch) {}

  FilledOrder Fill() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    FilledOrder filled{.node = FillByKind()};
    filled.vault_is_new = vault_is_new_;
    return filled;
  }

 private:
  v1::Run& run() { return *record_.mutable_run(); }

  absl::StatusOr<std::string> FillByKind() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (IsVaultJob(run())) return FillVaultJob();
    order_->set_workload(run().workload());
    if (run().kind() == "backup" && !ReadBackIsOpen(record_)) return FillBackup();
    const auto backup = em_.catalog->backups().find(run().backup_id());
    if (backup == em_.catalog->backups().end()) return BackupNotFound(run().backup_id());
    if (run().kind() == "files") return FillListing(backup->second);
    if (run().kind() == "diff") return FillDiff(backup->second);
    if (run().kind() == "read") return FillReadFile(backup->second);
    return run().kind() == "restore" ? FillRestore(backup->second) : FillVerify(backup->second);
  }

  absl::StatusOr<std::string> FillVaultJob() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    // A deletion by a rule that the vault does not know yet would be refused by the former ones.
    const bool by_rule = run().kind() == "delete" && IsScheduled(record_);
    const absl::StatusOr<v1::VaultAddress> vault = AddressOf(em_, run().vault());
    if (by_rule && vault.ok() && !IsServed(em_, vault->name()))
      return absl::UnavailableError(absl::StrCat("vault '", vault->name(), "' is not open"));
    if (by_rule && vault.ok() && NotYetTold(*vault))
      return absl::UnavailableError(
          absl::StrCat("node ", vault->node(), " has not taken in the new estate yet"));
    return FillVaultOrder(em_, record_, order_, &batch_);
  }

  absl::StatusOr<std::string> AliveNode(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const auto node = em_.catalog->nodes().find(name);
    if (node == em_.catalog->nodes().end()) return NodeNotFound(name);
    if (node->second.state() != v1::NodeState::ALIVE) {
      return WithHint(absl::UnavailableError(absl::StrCat(
                          "node ", name, " is ", v1::NodeState::Value_Name(node->second.state()))),
                      absl::StrCat("ember node show ", name));
    }
    return name;
  }

  absl::StatusOr<std::string> FillBackup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const v1::Estate& estate = em_.catalog->estate().estate();
    const v1::WorkloadSpec* spec = FindWorkload(estate, run().workload());
    const auto workload = em_.catalog->workloads().find(run().workload());
    if (spec == nullptr || workload == em_.catalog->workloads().end())
      return WorkloadNotFound(run().workload());
    if (spec->sources().empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "workload '", spec->name(), "' has no sources: there is nothing to back up"));
    }
    rec::WorkloadRecord placed = workload->second;
    if (!record_.orphan_node().empty()) placed.set_node(record_.orphan_node());
    EMBER_ASSIGN_OR_RETURN(const std::string node, AliveNode(placed.node()));
    EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress vault, ChooseVault(estate, *spec));
    v1::BackupOrder* backup = order_->mutable_backup();
    backup->set_backup_id(NewBackupId());
    *backup->mutable_spec() = *spec;
    *backup->mutable_vault() = vault;
    EMBER_ASSIGN_OR_RETURN(*backup->mutable_domain(), DomainOf(em_, node));
    backup->set_reason(record_.backup_request().reason());
    backup->set_full(record_.backup_request().kind() == "full");
    order_->set_epoch(placed.epoch());
    EMBER_ASSIGN_OR_RETURN(*backup->mutable_grant(),
                           GrantFor(em_, placed, vault.name(), backup->backup_id()));
    run().set_backup_id(backup->backup_id());
    // The record exists from the start, so that the id is never given twice.
    rec::BackupRecord record = NewBackup(placed, vault.name(), record_);
    v1::Backup& wire = *record.mutable_backup();
    wire.set_orphan(!record_.orphan_node().empty());
    wire.set_name(record_.backup_request().name());
    wire.set_kind(backup->full() ? "full" : "incremental");
    *wire.mutable_created() = rpc::ToTimestamp(em_.clock->Now());
    wire.set_reason(backup->reason());
    if (record_.attempt() > 0) DropEarlierAttempt(wire.id());
    batch_.Put(record);
    return node;
  }

  // The record of this run's failed attempt makes way for the new one.
  void DropEarlierAttempt(const std::string& except) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    for (const auto& [id, backup] : em_.catalog->backups()) {
      if (backup.run_id() == run().id() && id != except) batch_.Erase(backup);
    }
  }

  std::string NewBackupId() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    for (int n = 0;; ++n) {
      std::string id = BackupId(record_.run().workload(), em_.clock->Now(), n);
      if (em_.catalog->backups().count(id) == 0) return id;
    }
  }

  // True when the estate was applied a moment ago and the vault's node has not taken that in yet.
  bool NotYetTold(const v1::VaultAddress& vault) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const HeardNode& host = em_.board.nodes.at(vault.node());
    // Configurations change for other reasons, too: what was applied long ago it serves by now.
    const absl::Duration since =
        em_.clock->Now() - rpc::FromTimestamp(em_.catalog->estate().applied());
    if (since > absl::Seconds(kEstateNewSeconds) && host.vaults.count(vault.name()) > 0)
      return false;
    return host.config_version != ConfigVersionFor(em_, vault.node());
  }

  // The first reachable vault of the workload's policies (of the run's policy, when scheduled).
  absl::StatusOr<v1::VaultAddress> ChooseVault(const v1::Estate& estate,
                                               const v1::WorkloadSpec& spec)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    std::vector<std::string> names;
    for (const std::string& policy_name : spec.policies()) {
      const v1::PolicySpec* policy = FindPolicy(estate, policy_name);
      if (policy == nullptr || (IsScheduled(record_) && policy_name != record_.policy())) continue;
      names.insert(names.end(), policy->vaults().begin(), policy->vaults().end());
    }
    if (names.empty()) {
      for (const v1::VaultSpec& vault : estate.vaults()) names.push_back(vault.name());
    }
    absl::Status why = WithHint(absl::FailedPreconditionError("the estate has no vault"),
                                "add one to the estate file, then `ember apply`");
    for (const std::string& name : names) {
      auto address = AddressOf(em_, name);
      if (address.ok() && !NotYetTold(*address)) return address;
      vault_is_new_ = vault_is_new_ || address.ok();
      why = address.ok()
                ? absl::UnavailableError(absl::StrCat("vault '", name, "' is new to its node"))
                : address.status();
    }
    return why;
  }

  // What a verification says is about one vault.
  absl::StatusOr<std::string> FillVerify(const rec::BackupRecord& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(
        const v1::VaultAddress vault,
        AddressOf(em_, VerifiesCopy(record_, backup) ? run().vault() : backup.vault()));
    v1::VerifyOrder* verify = order_->mutable_verify();
    verify->set_backup_id(run().backup_id());
    *verify->mutable_vault() = vault;
    verify->set_domain_id(backup.domain_id());
    verify->set_sample_percent(record_.sample_percent());
    return AliveNode(vault.node());
  }

  absl::StatusOr<std::string> FillListing(const rec::BackupRecord& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress vault, NearestCopy(em_, backup));
    v1::ListFilesOrder* list = order_->mutable_list_files();
    list->set_backup_id(run().backup_id());
    *list->mutable_vault() = vault;
    list->set_domain_id(backup.domain_id());
    list->set_path(record_.files_request().path());
    list->set_after(record_.files_request().after());
    return AliveNode(vault.node());
  }

  absl::StatusOr<std::string> FillDiff(const rec::BackupRecord& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const v1::DiffBackupsRequest& request = record_.diff_request();
    const auto other = em_.catalog->backups().find(request.other());
    if (other == em_.catalog->backups().end()) return BackupNotFound(request.other());
    EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress vault, NearestCopy(em_, backup));
    v1::DiffOrder* diff = order_->mutable_diff();
    diff->set_backup_id(run().backup_id());
    *diff->mutable_vault() = vault;
    diff->set_other_id(request.other());
    EMBER_ASSIGN_OR_RETURN(*diff->mutable_other_vault(), NearestCopy(em_, other->second));
    diff->set_domain_id(backup.domain_id());
    diff->set_path(request.path());
    diff->set_after(request.after());
    return AliveNode(vault.node());
  }

  absl::StatusOr<std::string> FillReadFile(const rec::BackupRecord& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    const v1::ReadFileRequest& request = record_.read_request();
    EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress vault, NearestCopy(em_, backup));
    v1::ReadFileOrder* read = order_->mutable_read_file();
    read->set_backup_id(run().backup_id());
    *read->mutable_vault() = vault;
    read->set_domain_id(backup.domain_id());
    read->set_path(request.path());
    read->set_offset(request.offset());
    read->set_reader_key(request.reader_key());
    return AliveNode(vault.node());
  }

  absl::StatusOr<std::string> FillRestore(const rec::BackupRecord& backup)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_ASSIGN_OR_RETURN(const v1::VaultAddress vault, NearestCopy(em_, backup));
    const auto workload = em_.catalog->workloads().find(run().workload());
    const std::string placed = workload == em_.catalog->workloads().end() ? backup.backup().node()
                                                                          : workload->second.node();
    const v1::RestoreRequest& request = record_.restore_request();
    v1::RestoreOrder* restore = order_->mutable_restore();
    restore->set_backup_id(run().backup_id());
    *restore->mutable_vault() = vault;
    restore->set_domain_id(backup.domain_id());
    restore->set_target_directory(request.to_directory());
    *restore->mutable_paths() = request.paths();
    restore->set_dry_run(request.dry_run());
    restore->set_anyway(request.anyway());
    restore->set_keep_existing(!request.confirmed() && !request.dry_run());
    if (const v1::WorkloadSpec* spec = em_.catalog->FindWorkload(run().workload()))
      *restore->mutable_spec() = *spec;
    if (workload != em_.catalog->workloads().end()) order_->set_epoch(workload->second.epoch());
    return AliveNode(request.to_node().empty() ? placed : request.to_node());
  }

  EmState& em_;
  rec::RunRecord& record_;
  v1::Order* const order_;
  Batch& batch_;
  bool vault_is_new_ = false;
};

}  // namespace

bool ReadBackIsOpen(const rec::RunRecord& run) {
  return run.run().kind() == "backup" && run.run().has_backup() && !run.run().backup().verified();
}

bool VerifiesCopy(const rec::RunRecord& run, const rec::BackupRecord& backup) {
  return run.run().kind() == "verify" && !run.run().vault().empty() &&
         run.run().vault() != backup.vault();
}

bool IsScheduled(const rec::RunRecord& run) {
  return !run.policy().empty() || (IsVaultJob(run.run()) && run.who().empty());
}

// Clang's analysis does not see that a member reference is this `em`.
FilledOrder FillOrder(EmState& em, rec::RunRecord* run, v1::Order* order,
                      Batch* batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return OrderFiller(em, run, order, batch).Fill();
}

}  // namespace ember::controller
