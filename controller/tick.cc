#include "controller/tick.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/fleet/observing.h"
#include "controller/fleet/told.h"
#include "controller/protect/catalog_exports.h"
#include "controller/protect/clean.h"
#include "controller/protect/orphans.h"
#include "controller/protect/reserved_backups.h"
#include "controller/protect/rollbacks.h"
#include "controller/protect/runs.h"
#include "controller/recover/fences.h"
#include "controller/recover/moves.h"
#include "controller/recover/recoveries.h"

namespace ember::controller {
namespace {

// A controller that stood still (suspended, swapped out) has not heard beats that were sent: it
// judges nobody by them.
void DistrustOwnStall(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const absl::Duration now = em.clock->Monotonic();
  const absl::Duration since = now - em.board.last_tick;
  if (since > absl::Milliseconds(kTickLagMillis)) {
    LogWarning("tick", "stood still: leases count from now",
               {{"seconds", absl::ToDoubleSeconds(since)}});
    em.board.trusted_from = now;
  }
  em.board.last_tick = now;
}

// A new term knows the states of the last one but not what became of them: it listens before it
// acts. Ends by itself, because a node that stays silent is no longer ALIVE.
bool StillListening(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const auto& [name, node] : em.catalog->nodes()) {
    if (node.state() == v1::NodeState::ALIVE && em.board.nodes.count(name) == 0) return true;
  }
  return false;
}

void ForgetProgress(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (auto it = em.board.progress.begin(); it != em.board.progress.end();) {
    it = em.catalog->orders().count(it->first) == 0 ? em.board.progress.erase(it) : std::next(it);
  }
}

}  // namespace

absl::Status BeginTerm(EmState& em) {
  absl::MutexLock lock(&em.mu);
  em.board.started = em.clock->Now();
  em.board.trusted_from = em.clock->Monotonic();
  em.board.last_tick = em.board.trusted_from;
  record::v1::MetaRecord meta = em.catalog->meta();
  meta.set_schema_version(kCatalogSchema);
  meta.set_estate_id(em.keys->estate_id());
  meta.set_em_epoch(meta.em_epoch() + 1);
  if (!meta.has_created()) *meta.mutable_created() = rpc::ToTimestamp(em.clock->Now());
  Batch batch;
  batch.Put(meta);
  batch.AddEvent("em.started", "em",
                 absl::StrCat("version ", kVersion, ", epoch ", meta.em_epoch()));
  return em.Commit(batch);
}

absl::Status Tick(EmState& em) {
  absl::MutexLock lock(&em.mu);
  const absl::Duration started = em.clock->Monotonic();
  em.news = false;
  DistrustOwnStall(em);
  EMBER_RETURN_IF_ERROR(NoticeSuccessor(em));
  EMBER_RETURN_IF_ERROR(UpdateNodes(em));
  if (em.catalog->meta().observing()) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(RecordTold(em));
  UpdateWantedExport(em);
  if (!StillListening(em)) {
    EMBER_RETURN_IF_ERROR(AdvanceFences(em));
    EMBER_RETURN_IF_ERROR(UpdateWorkloads(em));
    EMBER_RETURN_IF_ERROR(BeginDueMoves(em));
    EMBER_RETURN_IF_ERROR(AdvanceRecoveries(em));
    EMBER_RETURN_IF_ERROR(KeepOrphans(em));
    EMBER_RETURN_IF_ERROR(NoticeRollbacks(em));
    EMBER_RETURN_IF_ERROR(AddDueRuns(em));
    EMBER_RETURN_IF_ERROR(AddDueDeletions(em));
    EMBER_RETURN_IF_ERROR(ReserveBackups(em));
    EMBER_RETURN_IF_ERROR(AdvanceRuns(em));
  }
  ForgetProgress(em);
  em.board.tick_millis_max = std::max(em.board.tick_millis_max,
                                      absl::ToInt64Milliseconds(em.clock->Monotonic() - started));
  return absl::OkStatus();
}

}  // namespace ember::controller
