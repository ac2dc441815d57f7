#include "controller/protect/rollbacks.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "controller/protect/damage.h"
#include "controller/protect/replicas.h"
#include "controller/protect/runs.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Takes from the catalog what is not in the vault any more; returns how many backups those are.
int64_t DropLost(const EmState& em, const v1::VaultFact& fact, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  int64_t lost = 0;
  for (const auto& [id, record] : em.catalog->backups()) {
    rec::BackupRecord left = record;
    if (absl::c_linear_search(record.copies(), fact.vault())) {
      RemoveCopy(fact.vault(), &left);  // the next replication says what is still there
      batch->Put(std::move(left));
      continue;
    }
    const bool gone = IsStored(record.backup()) && record.vault() == fact.vault() &&
                      record.vault_id() == fact.vault_id() &&
                      record.vault_sequence() > fact.sequence();
    if (!gone) continue;
    ++lost;
    const std::string why = absl::StrCat("vault '", fact.vault(),
                                         "' was put back to a state before it and has it no more");
    if (PromoteCopy(&left)) {
      batch->AddEvent("backup.moved", id,
                      absl::StrCat(why, "; its copy in vault '", left.vault(), "' stays"),
                      record.backup().workload());
      batch->Put(std::move(left));
    } else {
      MarkDamaged(record, why, batch);
    }
  }
  return lost;
}

// The receipt of a commit may come before the beat that tells of it.
bool MayBeOnItsWay(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto raised = em.board.commits_noted.find(vault);
  const absl::Duration since =
      std::max(em.board.trusted_from,
               raised == em.board.commits_noted.end() ? -absl::InfiniteDuration() : raised->second);
  return em.clock->Monotonic() - since < absl::Seconds(3 * kBeatDeadlineSeconds);
}

absl::Status Notice(EmState& em, const v1::VaultFact& fact) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::VaultRecord record = VaultRecordOf(em, fact.vault());
  const bool same_disk = record.vault_id() == fact.vault_id();
  if (same_disk && record.sequence() == fact.sequence()) return absl::OkStatus();
  if (same_disk && fact.sequence() < record.sequence() && MayBeOnItsWay(em, fact.vault()))
    return absl::OkStatus();
  Batch batch;
  if (!same_disk) {
    record.set_rolled_back(false);
  } else if (fact.sequence() < record.sequence()) {
    record.set_rolled_back(true);
    record.clear_replication_tried();
    batch.AddEvent("vault.rolled_back", fact.vault(),
                   absl::StrCat("its newest commit is number ", fact.sequence(),
                                ", it told of number ", record.sequence(), " before; ",
                                DropLost(em, fact, &batch), " backups are not in it any more"));
  }
  record.set_vault_id(fact.vault_id());
  record.set_sequence(fact.sequence());
  batch.Put(record);
  return em.Commit(batch);
}

}  // namespace

void NoteCommit(EmState& em, const rec::BackupRecord& backup, Batch* batch) {
  rec::VaultRecord record = VaultRecordOf(em, backup.vault());
  em.board.commits_noted[backup.vault()] = em.clock->Monotonic();
  if (record.vault_id() != backup.vault_id() || record.sequence() >= backup.vault_sequence())
    return;
  record.set_sequence(backup.vault_sequence());
  batch->Put(std::move(record));
}

absl::Status NoticeRollbacks(EmState& em) {
  for (const v1::VaultSpec& vault : em.catalog->estate().estate().vaults()) {
    const auto node = em.board.nodes.find(vault.node());
    if (node == em.board.nodes.end()) continue;
    const auto fact = node->second.vaults.find(vault.name());
    // Until it is open nothing is known of it.
    if (fact == node->second.vaults.end() || fact->second.vault_id().empty()) continue;
    EMBER_RETURN_IF_ERROR(Notice(em, fact->second));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
