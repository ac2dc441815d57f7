#include "common/vault/gc.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/job.h"
#include "common/vault/pack.h"
#include "common/vault/sweep.h"

namespace ember::vault {

absl::StatusOr<v1::VaultResult> GarbageCollection::Run(const v1::GcJob& job) {
  if (parts_.index.damaged()) {
    return WithHint(absl::DataLossError("the index is damaged: nothing is collected with it"),
                    "restart the vault's agent: the index is made anew");
  }
  const absl::Time now = parts_.state.TimeAt(parts_.clock.Now());
  until_ = job.empty_trash() ? now : now - parts_.trash_window;
  EMBER_RETURN_IF_ERROR(EmptyTrash(job));
  EMBER_RETURN_IF_ERROR(Purge());
  CompareTrash(job);
  EMBER_ASSIGN_OR_RETURN(const uint32_t epoch, parts_.state.NextEpoch(parts_.clock.Now()));
  parts_.index.SetEpoch(epoch);
  EMBER_RETURN_IF_ERROR(MarkAndCondemn(epoch));
  // When everything in the trash is due, what a pack leaves is room for the copies from the next.
  Sweep sweep(parts_, context_, epoch, live_bytes_, result_,
              [this, &job] { return job.empty_trash() ? EmptyTrash(job) : absl::OkStatus(); });
  EMBER_RETURN_IF_ERROR(sweep.Run());
  EMBER_RETURN_IF_ERROR(EmptyTrash(job));
  FillTotals();
  return result_;
}

absl::Status GarbageCollection::EmptyTrash(const v1::GcJob& job) {
  // The index must have let go of a pack for good before the pack is unlinked.
  EMBER_RETURN_IF_ERROR(parts_.index.Sync());
  // What this round puts there is meant too, although the clock has gone on meanwhile.
  const absl::Time until = job.empty_trash() ? absl::InfiniteFuture() : until_;
  EMBER_ASSIGN_OR_RETURN(const PackTrash::Emptied emptied,
                         parts_.trash.Empty(until, parts_.readers));
  result_.set_packs_removed(result_.packs_removed() + emptied.packs);
  result_.set_bytes_freed(result_.bytes_freed() + emptied.bytes);
  return absl::OkStatus();
}

absl::Status GarbageCollection::Purge() {
  // In this order: no session that is opened later takes what is in the trash by now for its
  // parent.
  const std::map<std::string, StoredBackups::Entry> backups = parts_.backups.All();
  const SessionTable::InUse in_use = parts_.sessions.ListInUse();
  const absl::Time now = parts_.state.TimeAt(parts_.clock.Now());
  for (const auto& [id, entry] : backups) {
    if (!entry.deletion || entry.deletion->time > until_ || in_use.parents.contains(id)) continue;
    EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
    const absl::Status purged = parts_.backups.Purge(id, now);
    if (absl::IsFailedPrecondition(purged) || absl::IsNotFound(purged)) continue;  // undeleted
    if (!purged.ok()) {
      AddProblem(result_, absl::StrCat("backup ", id, " stays in the trash: ", purged.message()));
      continue;
    }
    LogInfo("vault", "a deleted backup is gone for good", {{"backup", id}});
    result_.add_backups(id);
  }
  return absl::OkStatus();
}

// The answer to an earlier order may have been lost: what the controller believes is put right
// here. What this vault never heard of is neither: another one may be mounted in its place.
void GarbageCollection::CompareTrash(const v1::GcJob& job) {
  const std::set<std::string> purged(result_.backups().begin(), result_.backups().end());
  for (const std::string& id : job.trashed()) {
    const auto entry = parts_.backups.Find(id);
    if (entry && !entry->deletion) result_.add_not_deleted(id);
    if (!entry && !purged.contains(id) && parts_.backups.FindPurged(id)) result_.add_backups(id);
  }
}

absl::Status GarbageCollection::MarkAndCondemn(uint32_t epoch) {
  const CommitGate::Round round(parts_.gate);
  protection_.in_use = parts_.sessions.ListInUse();
  protection_.epoch = epoch;
  protection_.pinned_epoch = std::min(epoch, protection_.in_use.lowest_epoch);
  protection_.leased_epoch = parts_.state.EpochAt(parts_.state.TimeAt(parts_.clock.Now()) -
                                                  absl::Hours(kSessionLeaseHours));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<LiveIds> live,
                         LiveIds::Open(parts_.store, parts_.backups, context_, kMarkBytes));
  unknown_domains_ = live->unknown_domains();
  for (const std::string& problem : live->problems())
    AddProblem(result_, absl::StrCat(problem, "; nothing of its domain is collected"));
  while (true) {
    EMBER_ASSIGN_OR_RETURN(const auto range, live->Next());
    if (!range) break;
    EMBER_RETURN_IF_ERROR(MarkRange(*live, *range));
  }
  EMBER_RETURN_IF_ERROR(Condemn());
  return parts_.index.Sync();
}

absl::Status GarbageCollection::MarkRange(LiveIds& live, const LiveIds::Range& range) {
  ReportProgress(context_, "marking", 0, 0);
  auto next = live.ids().begin();
  const auto end = live.ids().end();
  return parts_.index.Scan(
      range.from, range.to,
      [&](absl::string_view prefix, const Location& location) -> absl::Status {
        const absl::uint128 number = PrefixOf(prefix);
        while (next != end && *next < number) ++next;
        if (next != end && *next == number) {
          AddLive(location);
          // A flag on what a backup needs: not seen yet, and if ever, harmless from here on.
          return location.condemned ? parts_.index.Keep({prefix}, false).status()
                                    : absl::OkStatus();
        }
        if (location.condemned) return absl::OkStatus();
        candidates_.emplace_back(prefix);
        candidate_locations_.push_back(location);
        return candidates_.size() < kCondemnBatch ? absl::OkStatus() : Condemn();
      });
}

absl::Status GarbageCollection::Condemn() {
  EMBER_RETURN_IF_ERROR(CheckCancelled(context_));
  EMBER_ASSIGN_OR_RETURN(const std::vector<bool> condemned,
                         parts_.index.Condemn(candidates_, [this](const Location& location) {
                           return IsGarbage(location);
                         }));
  for (size_t i = 0; i < condemned.size(); ++i) {
    if (condemned[i]) {
      result_.set_records_condemned(result_.records_condemned() + 1);
    } else {
      AddLive(candidate_locations_[i]);
    }
  }
  candidates_.clear();
  candidate_locations_.clear();
  return absl::OkStatus();
}

bool GarbageCollection::IsGarbage(const Location& location) {
  if (location.pinned >= protection_.pinned_epoch) return false;
  const uint32_t pack_epoch = parts_.index.PackOf(location.pack).epoch;
  if (pack_epoch >= protection_.epoch) return false;
  switch (ClaimOf(location.session)) {
    case Claim::kProtected: return false;
    case Claim::kLeased: return pack_epoch < protection_.leased_epoch;
    case Claim::kNone: return true;
  }
  return false;
}

GarbageCollection::Claim GarbageCollection::ClaimOf(uint32_t session) {
  const auto known = claims_.find(session);
  if (known != claims_.end()) return known->second;
  const format::v1::PackSession row = parts_.index.SessionOf(session);
  Claim claim = Claim::kNone;
  if (protection_.in_use.session_ids.contains(row.session_id()) ||
      unknown_domains_.contains(row.domain_id())) {
    claim = Claim::kProtected;
  } else if (!parts_.backups.FindBySession(row.session_id())) {
    claim = Claim::kLeased;
  }
  claims_[session] = claim;
  return claim;
}

void GarbageCollection::AddLive(const Location& location) {
  live_bytes_[location.pack] += kRecordHeaderBytes + location.length;
}

void GarbageCollection::FillTotals() {
  for (const ChunkIndex::PackFacts& pack : parts_.index.Packs()) {
    result_.set_packs_total(result_.packs_total() + 1);
    result_.set_bytes_total(result_.bytes_total() + static_cast<int64_t>(pack.size));
  }
  result_.set_bytes_in_trash(parts_.trash.bytes());
}

}  // namespace ember::vault
