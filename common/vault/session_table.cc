#include "common/vault/session_table.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::vault {
namespace {

absl::Status SessionOver() {
  return WithHint(
      absl::AbortedError("the session is over: a newer one was opened, or the vault was restarted"),
      "run the backup again; what was stored is not sent twice");
}

absl::Status SessionIdTaken() {
  return absl::AlreadyExistsError("the session id is in use for another backup");
}

}  // namespace

absl::StatusOr<std::shared_ptr<Session>> SessionTable::Find(const std::string& node,
                                                            const std::string& session_id,
                                                            uint64_t token) {
  EMBER_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, Find(session_id));
  const SessionFacts& facts = session->facts();
  if (facts.node != node) return PeerRefused(node, "the backup session belongs to another node");
  if (facts.token != token) return SessionOver();
  session->Touch(clock_.Monotonic());
  return session;
}

absl::StatusOr<std::shared_ptr<Session>> SessionTable::Find(const std::string& session_id) {
  absl::MutexLock lock(&mu_);
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return SessionOver();
  return found->second;
}

absl::Status SessionTable::CheckUnused(const std::string& node,
                                       const v1::OpenSessionRequest& request) {
  const auto open = Find(request.session_id());
  if (!open.ok()) return absl::OkStatus();
  const SessionFacts& facts = (*open)->facts();
  if (facts.node != node) return PeerRefused(node, "the backup session belongs to another node");
  const bool same = facts.workload == request.workload() &&
                    facts.backup_id == request.backup_id() &&
                    facts.domain_id == request.domain_id() && facts.keybox == request.keybox();
  return same ? absl::OkStatus() : SessionIdTaken();
}

absl::StatusOr<std::shared_ptr<Session>> SessionTable::Register(
    const std::shared_ptr<Session>& session) {
  const SessionFacts& facts = session->facts();
  session->Touch(clock_.Monotonic());
  absl::MutexLock lock(&mu_);
  const auto same_id = sessions_.find(facts.session_id);
  if (same_id != sessions_.end() && same_id->second->facts().workload != facts.workload)
    return SessionIdTaken();
  if (!current_.contains(facts.workload) && current_.size() >= kWorkloadsMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kWorkloadsMax, " workloads back up to this vault"));
  }
  std::shared_ptr<Session> older;
  std::string& current = current_[facts.workload];
  if (const auto open = sessions_.find(current); open != sessions_.end()) {
    if (open->second->facts().token > facts.token)
      return SessionOver();  // two opened at once, the other was later
    older = open->second;
    older->Supersede();
    sessions_.erase(open);
  }
  current = facts.session_id;
  sessions_[current] = session;
  return older;
}

SessionTable::InUse SessionTable::ListInUse() {
  const absl::Duration idle_since = clock_.Monotonic() - absl::Hours(kSessionLeaseHours);
  InUse in_use;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    if (session->committed() || session->last_used() <= idle_since) continue;
    const SessionFacts& facts = session->facts();
    in_use.session_ids.insert(id);
    in_use.parents.insert(facts.parents.begin(), facts.parents.end());
    in_use.lowest_epoch = std::min(in_use.lowest_epoch, facts.epoch);
  }
  return in_use;
}

}  // namespace ember::vault
