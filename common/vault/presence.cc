#include "common/vault/presence.h"

#include <algorithm>

#include "common/base/id_filter.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/domain_sessions.h"
#include "common/vault/ref_set.h"

namespace ember::vault {

absl::Status Presence::Check(
    const std::vector<absl::string_view>& ids, const std::string& domain_id, Claim claim,
    const std::function<void(size_t i, bool present, uint32_t session)>& visit) {
  DomainSessions domain(index_, domain_id);
  std::vector<absl::string_view> batch;
  for (size_t begin = 0; begin < ids.size(); begin += kIndexLookupBatch) {
    const size_t end = std::min(ids.size(), begin + kIndexLookupBatch);
    batch.assign(ids.begin() + begin, ids.begin() + end);
    EMBER_ASSIGN_OR_RETURN(const auto found, claim == Claim::kNone
                                                 ? index_.Find(batch)
                                                 : index_.Keep(batch, claim == Claim::kPin));
    for (size_t i = begin; i < end; ++i) {
      const auto& location = found[i - begin];
      if (!location || location->condemned) {
        visit(i, false, 0);
        continue;
      }
      visit(i, domain.Contains(location->session) && !damaged_.Contains(ids[i]), location->session);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<uint32_t>> Presence::SessionsOf(
    const Pieces& ids, const std::string& domain_id, Claim claim,
    const std::function<void(absl::string_view id)>& absent) {
  std::set<uint32_t> sessions;
  EMBER_RETURN_IF_ERROR(ids([&](absl::string_view joined) {
    const std::vector<absl::string_view> piece = SplitIds(joined);
    return Check(piece, domain_id, claim, [&](size_t i, bool present, uint32_t session) {
      if (present) {
        sessions.insert(session);
      } else {
        absent(piece[i]);
      }
    });
  }));
  return sessions;
}

absl::StatusOr<std::string> Presence::FilterOf(const std::string& domain_id) {
  IdFilter filter;
  DomainSessions domain(index_, domain_id);
  size_t seen = 0;
  const absl::Status scanned =
      index_.Scan("", "", [&](absl::string_view prefix, const Location& location) {
        if (domain.Contains(location.session)) filter.Add(prefix);
        return filter.added() > kIdFilterIdsMax || ++seen > kIdFilterScanMax
                   ? absl::CancelledError()
                   : absl::OkStatus();
      });
  if (absl::IsCancelled(scanned)) return std::string();
  EMBER_RETURN_IF_ERROR(scanned);
  return filter.Serialize();
}

absl::StatusOr<bool> Presence::IsComplete(const std::string& backup_id,
                                          const std::string& domain_id) {
  const uint64_t generation = damaged_.generation();
  {
    absl::MutexLock lock(&mu_);
    const auto known = complete_.find(backup_id);
    if (known != complete_.end() && known->second == generation) return true;
  }
  bool complete = true;
  const auto sessions =
      SessionsOf([&](const PieceSink& sink) { return backups_.ReadRefs(backup_id, sink); },
                 domain_id, Claim::kNone, [&complete](absl::string_view) { complete = false; });
  if (absl::IsDataLoss(sessions.status()) || absl::IsNotFound(sessions.status()))
    return false;  // the client then asks about each id
  EMBER_RETURN_IF_ERROR(sessions.status());
  if (complete) NoteComplete(backup_id, generation);
  return complete;
}

absl::StatusOr<bool> Presence::HasCompleteBackup(const std::string& domain_id,
                                                 const std::string& manifest_root) {
  if (manifest_root.empty()) return false;
  for (const std::string& backup_id : backups_.FindByRoot(domain_id, manifest_root)) {
    EMBER_ASSIGN_OR_RETURN(const bool complete, IsComplete(backup_id, domain_id));
    if (complete) return true;
  }
  return false;
}

void Presence::NoteComplete(const std::string& backup_id, uint64_t generation) {
  absl::MutexLock lock(&mu_);
  complete_[backup_id] = generation;
}

}  // namespace ember::vault
