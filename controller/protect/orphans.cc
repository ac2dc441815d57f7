#include "controller/protect/orphans.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Its agent knows that the workload is placed elsewhere, and has stopped it.
bool IsAtRest(const EmState& em, const rec::WorkloadRecord& workload, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (StateOf(em, node) != v1::NodeState::ALIVE) return false;
  const HeardWorkload* heard = HeardOf(em, node, workload.name());
  return heard != nullptr && heard->fact.epoch() >= workload.epoch() && !heard->fact.running();
}

void TakeRun(const rec::RunRecord* run, absl::Time now, const std::string& workload,
             rec::LeftData* left, Batch* batch) {
  left->clear_run_id();
  if (run != nullptr && IsStored(run->run().backup())) {
    left->set_backup_id(run->run().backup_id());
    left->clear_problem();
    batch->AddEvent("backup.orphan", left->backup_id(),
                    absl::StrCat("what ", left->node(), " was left with when ", workload,
                                 " was moved away by ", left->recovery(), " is kept"),
                    workload);
    return;
  }
  left->set_problem(run == nullptr ? "its run was forgotten" : run->run().error());
  const absl::Duration wait = absl::Seconds(kOrphanRetrySeconds) * (1 << (left->attempts() - 1));
  *left->mutable_not_before() = rpc::ToTimestamp(now + wait);
  if (!IsGivenUp(*left)) return;
  batch->AddEvent("backup.orphan_failed", workload,
                  absl::StrCat("what ", left->node(), " was left with could not be kept: ",
                               left->problem(), "; it is still there"),
                  workload);
}

absl::Status KeepOne(EmState& em, rec::WorkloadRecord workload, int index)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  rec::LeftData* left = workload.mutable_left(index);
  Batch batch;
  if (!left->run_id().empty()) {
    const auto run = em.catalog->runs().find(left->run_id());
    const bool known = run != em.catalog->runs().end();
    if (known && IsOpenRun(run->second)) return absl::OkStatus();
    TakeRun(known ? &run->second : nullptr, em.clock->Now(), workload.name(), left, &batch);
    batch.Put(workload);
    return em.Commit(batch);
  }
  const bool waits = IsGivenUp(*left) || rpc::FromTimestamp(left->not_before()) > em.clock->Now();
  if (!left->backup_id().empty() || waits || !IsAtRest(em, workload, left->node()) ||
      OpenRecoveryOf(em, workload.name()) != nullptr)
    return absl::OkStatus();
  rec::RunRecord run = NewRun(em, "backup", workload.name());
  run.set_orphan_node(left->node());
  run.mutable_backup_request()->set_reason(
      absl::StrCat("orphan: as ", left->node(), " was left with it by ", left->recovery()));
  left->set_run_id(run.run().id());
  left->set_attempts(left->attempts() + 1);
  batch.Put(run);
  batch.Put(workload);
  return em.Commit(batch);
}

}  // namespace

bool IsGivenUp(const rec::LeftData& left) {
  return left.attempts() >= kOrphanAttemptsMax && left.run_id().empty() && left.backup_id().empty();
}

absl::Status KeepOrphans(EmState& em) {
  for (const v1::WorkloadSpec& spec : em.catalog->estate().estate().workloads()) {
    const auto workload = em.catalog->workloads().find(spec.name());
    if (workload == em.catalog->workloads().end() || spec.sources().empty()) continue;
    for (int i = 0; i < workload->second.left_size(); ++i)
      EMBER_RETURN_IF_ERROR(KeepOne(em, workload->second, i));
  }
  return absl::OkStatus();
}

}  // namespace ember::controller
