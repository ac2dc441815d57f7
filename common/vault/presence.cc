#include "common/vault/presence.h"

#include <algorithm>

#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/pack.h"

namespace ember::vault {

absl::Status Presence::Check(
    const std::vector<absl::string_view>& ids, const std::string& domain_id, Claim claim,
    const std::function<void(size_t i, bool present, uint32_t session)>& visit) {
  std::map<uint32_t, bool> in_domain;  // by session number
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
      const auto [row, is_new] = in_domain.try_emplace(location->session, false);
      if (is_new) row->second = index_.SessionOf(location->session).domain_id() == domain_id;
      visit(i, row->second && !damaged_.Contains(ids[i]), location->session);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<uint32_t>> Presence::SessionsOf(
    const std::vector<absl::string_view>& ids, const std::string& domain_id, Claim claim,
    const std::function<void(size_t i)>& absent) {
  std::set<uint32_t> sessions;
  EMBER_RETURN_IF_ERROR(Check(ids, domain_id, claim, [&](size_t i, bool present, uint32_t session) {
    if (present) {
      sessions.insert(session);
    } else {
      absent(i);
    }
  }));
  return sessions;
}

absl::StatusOr<bool> Presence::IsComplete(const std::string& backup_id,
                                          const std::string& domain_id) {
  const uint64_t generation = damaged_.generation();
  {
    absl::MutexLock lock(&mu_);
    const auto known = complete_.find(backup_id);
    if (known != complete_.end() && known->second == generation) return true;
  }
  const auto refs = backups_.ReadRefs(backup_id);
  if (absl::IsDataLoss(refs.status()) || absl::IsNotFound(refs.status()))
    return false;  // the client then asks about each id
  EMBER_RETURN_IF_ERROR(refs.status());
  std::vector<absl::string_view> ids;
  for (size_t at = 0; at < refs->size(); at += kRecordIdBytes) {
    ids.push_back(absl::string_view(*refs).substr(at, kRecordIdBytes));
  }
  bool complete = true;
  EMBER_RETURN_IF_ERROR(Check(ids, domain_id, Claim::kNone, [&](size_t, bool present, uint32_t) {
    complete = complete && present;
  }));
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
