#include "controller/protect/replicas.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

template <typename Predicate>
void EraseIf(google::protobuf::RepeatedPtrField<v1::CopyVerified>* copies, const Predicate& gone) {
  copies->erase(std::remove_if(copies->begin(), copies->end(), gone), copies->end());
}

// True: it was there.
bool RemoveName(const std::string& name, google::protobuf::RepeatedPtrField<std::string>* names) {
  const auto left = std::remove(names->begin(), names->end(), name);
  if (left == names->end()) return false;
  names->erase(left, names->end());
  return true;
}

}  // namespace

std::vector<std::string> HoldersOf(const rec::BackupRecord& backup) {
  std::vector<std::string> holders = {backup.vault()};
  holders.insert(holders.end(), backup.copies().begin(), backup.copies().end());
  return holders;
}

bool IsIn(const EmState& em, const rec::BackupRecord& backup, const std::string& vault) {
  return backup.vault() == vault ? IsDiskThere(em, backup)
                                 : absl::c_linear_search(backup.copies(), vault);
}

std::string VaultIdNow(const EmState& em, const std::string& vault) {
  const absl::StatusOr<v1::VaultAddress> address = AddressOf(em, vault);
  if (!address.ok()) return "";
  const auto& facts = em.board.nodes.at(address->node()).vaults;
  const auto fact = facts.find(vault);
  return fact == facts.end() ? "" : fact->second.vault_id();
}

bool IsServed(const EmState& em, const std::string& vault) {
  return !VaultIdNow(em, vault).empty();
}

bool IsDiskThere(const EmState& em, const rec::BackupRecord& backup) {
  if (backup.vault_id().empty()) return true;  // of before ids were kept
  const std::string now = VaultIdNow(em, backup.vault());
  return now.empty() || now == backup.vault_id();
}

absl::StatusOr<v1::VaultAddress> NearestCopy(const EmState& em, const rec::BackupRecord& backup) {
  if (!IsServed(em, backup.vault()) || !IsDiskThere(em, backup)) {
    for (const std::string& copy : backup.copies())
      if (IsServed(em, copy)) return AddressOf(em, copy);
  }
  return AddressOf(em, backup.vault());
}

std::set<std::string> WorkloadsOf(const EmState& em, const std::string& vault) {
  const v1::Estate& estate = em.catalog->estate().estate();
  std::set<std::string> workloads;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    for (const std::string& name : spec.policies()) {
      const v1::PolicySpec* policy = FindPolicy(estate, name);
      if (policy != nullptr && absl::c_linear_search(policy->vaults(), vault))
        workloads.insert(spec.name());
    }
  }
  return workloads;
}

std::set<std::string> SourcesToCopyFrom(const EmState& em, const v1::VaultSpec& vault,
                                        absl::Time fresh) {
  std::set<std::string> sources;
  // Asked at every tick: an estate with one vault shall not pay for copies.
  if (em.catalog->estate().estate().vaults_size() < 2) return sources;
  const std::set<std::string> wanted = WorkloadsOf(em, vault.name());
  if (vault.replicate_from().empty() && wanted.empty()) return sources;
  if (!IsServed(em, vault.name())) return sources;
  const absl::Time now = em.clock->Now();
  for (const auto& [id, record] : em.catalog->backups()) {
    const v1::Backup& backup = record.backup();
    if (!IsStored(backup) || backup.trashed()) continue;
    const auto made_by = em.catalog->runs().find(record.run_id());
    const absl::Time came = made_by == em.catalog->runs().end()
                                ? absl::InfinitePast()
                                : rpc::FromTimestamp(made_by->second.run().ended());
    // One that came after now waits for the clock: it would be news for ever.
    if (fresh != absl::InfinitePast() && (came < fresh || came > now)) continue;
    if (IsIn(em, record, vault.name()) || AwaitsCheck(record, vault.name())) continue;
    for (const std::string& source : HoldersOf(record)) {
      const bool asked = wanted.contains(backup.workload()) ||
                         absl::c_linear_search(vault.replicate_from(), source);
      if (asked && source != vault.name() && IsIn(em, record, source) && IsServed(em, source))
        sources.insert(source);
    }
  }
  return sources;
}

absl::StatusOr<v1::ReplicateJob> FillReplicate(const EmState& em, const rec::RunRecord& run) {
  v1::ReplicateJob job;
  EMBER_ASSIGN_OR_RETURN(*job.mutable_from(), AddressOf(em, run.vault_request().from()));
  const v1::VaultSpec* target = FindVault(em.catalog->estate().estate(), run.run().vault());
  const bool all = !run.who().empty() || target == nullptr ||
                   absl::c_linear_search(target->replicate_from(), run.vault_request().from());
  if (all) return job;
  for (const std::string& workload : WorkloadsOf(em, target->name())) job.add_workloads(workload);
  if (job.workloads().empty())
    return absl::FailedPreconditionError("no policy asks for these copies any more");
  return job;
}

absl::StatusOr<std::string> TakeReplicas(const EmState& em, const rec::RunRecord& run,
                                         const v1::VaultResult& result, Batch* batch) {
  const std::string& vault = run.run().vault();
  int64_t copied = 0, waiting = 0;
  for (const std::string& id : result.backups()) {
    const auto known = em.catalog->backups().find(id);
    if (known == em.catalog->backups().end() || IsIn(em, known->second, vault)) continue;
    if (AwaitsCheck(known->second, vault)) {
      ++waiting;
      continue;
    }
    rec::BackupRecord record = known->second;
    if (record.vault() == vault) {
      record.set_vault_id(VaultIdNow(em, vault));  // a new disk, filled from a copy
    } else {
      record.add_copies(vault);
    }
    ShowVaults(&record);
    batch->Put(std::move(record));
    ++copied;
  }
  if (!result.problems().empty()) {
    return absl::DataLossError(
        absl::StrCat(copied, " backups were copied to vault '", vault,
                     "', others could not be: ", absl::StrJoin(result.problems(), "; ")));
  }
  if (copied == 0 && run.who().empty()) return "";
  return absl::StrCat(
      copied, " backups copied from vault '", run.vault_request().from(), "', ",
      result.bytes_copied(), " bytes",
      waiting == 0 ? ""
                   : absl::StrCat("; ", waiting, " wait for the check of vault '", vault, "'"));
}

void RemoveCopy(const std::string& vault, rec::BackupRecord* backup) {
  RemoveName(vault, backup->mutable_copies());
  ShowVaults(backup);
}

void DropCopy(const rec::BackupRecord& backup, const std::string& vault, absl::string_view why,
              Batch* batch) {
  if (!absl::c_linear_search(backup.copies(), vault)) return;
  rec::BackupRecord left = backup;
  RemoveCopy(vault, &left);
  batch->Put(left);
  batch->AddEvent(
      "backup.copy_damaged", backup.backup().id(),
      absl::StrCat("its copy in vault '", vault, "' is damaged (", why,
                   "); to heal it: ember vault check ", vault, " --from ", backup.vault()),
      backup.backup().workload());
}

void DropCopyUntilChecked(const rec::BackupRecord& backup, const std::string& vault,
                          absl::string_view why, Batch* batch) {
  if (!absl::c_linear_search(backup.copies(), vault)) return;
  rec::BackupRecord damaged = backup;
  damaged.add_damaged_copies(vault);
  DropCopy(damaged, vault, why, batch);
}

bool AwaitsCheck(const rec::BackupRecord& backup, const std::string& vault) {
  return absl::c_linear_search(backup.damaged_copies(), vault);
}

bool NoteChecked(rec::BackupRecord* backup, const std::string& vault) {
  if (!RemoveName(vault, backup->mutable_damaged_copies())) return false;
  ShowVaults(backup);
  return true;
}

void NoteCopyVerified(rec::BackupRecord* backup, const std::string& vault, const std::string& level,
                      absl::Time now) {
  if (!absl::c_linear_search(backup->copies(), vault)) return;  // it was dropped meanwhile
  auto* const verified = backup->mutable_backup()->mutable_copies_verified();
  const auto of_vault = [&](const v1::CopyVerified& copy) { return copy.vault() == vault; };
  const auto before = absl::c_find_if(*verified, of_vault);
  // A sample does not take back that all was read once.
  const bool whole = before != verified->end() && before->level() == "L2";
  EraseIf(verified, of_vault);
  v1::CopyVerified* copy = verified->Add();
  copy->set_vault(vault);
  copy->set_level(whole ? "L2" : level);
  *copy->mutable_at() = rpc::ToTimestamp(now);
}

bool PromoteCopy(rec::BackupRecord* backup) {
  if (backup->copies().empty()) return false;
  backup->set_vault(backup->copies(0));
  backup->clear_vault_id();
  backup->mutable_copies()->DeleteSubrange(0, 1);
  backup->mutable_backup()->set_trashed(false);
  backup->mutable_backup()->clear_trashed_until();
  // Levels are of the vault that was checked.
  v1::Backup& shown = *backup->mutable_backup();
  shown.clear_verified_level();
  for (const v1::CopyVerified& copy : shown.copies_verified())
    if (copy.vault() == backup->vault()) shown.set_verified_level(copy.level());
  ShowVaults(backup);
  return true;
}

void ShowVaults(rec::BackupRecord* backup) {
  backup->mutable_backup()->clear_vaults();
  for (const std::string& holder : HoldersOf(*backup)) backup->mutable_backup()->add_vaults(holder);
  EraseIf(backup->mutable_backup()->mutable_copies_verified(), [&](const v1::CopyVerified& copy) {
    return !absl::c_linear_search(backup->copies(), copy.vault());
  });
  *backup->mutable_backup()->mutable_copies_damaged() = backup->damaged_copies();
}

}  // namespace ember::controller
