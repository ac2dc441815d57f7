#include "controller/recover/recoveries.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/protect/damage.h"
#include "controller/protect/runs.h"
#include "controller/recover/dependency_graph.h"
#include "controller/recover/known.h"
#include "controller/recover/recovery_view.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::Status WriteStep(EmState& em, const RecoveryStepResult& step)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::Recovery& recovery = step.recovery.recovery();
  Batch batch;
  rec::RecoveryRecord record = step.recovery;
  if (!step.backup_reason.empty()) {
    rec::RunRecord run = NewRun(em, "backup", recovery.workload());
    run.set_recovery_id(recovery.id());
    run.mutable_backup_request()->set_reason(step.backup_reason);
    record.set_run_id(run.run().id());
    batch.Put(run);
  }
  batch.Put(record);
  batch.Put(step.workload);
  for (const RecoveryEvent& event : step.events) {
    batch.AddEvent(event.type, recovery.id(),
                   absl::StrCat(recovery.workload(), ": ", event.message), recovery.workload());
  }
  for (const auto& [id, order] : em.catalog->orders()) {
    const bool of_this = order.order().workload() == recovery.workload() &&
                         absl::StartsWith(id, absl::StrCat(recovery.id(), "/"));
    const bool consumed = of_this && step.order_done && order.finished();
    if (consumed) MarkDamageMet(em, order.order(), order.last_update(), &batch);
    if (consumed || id == step.abandoned_order) batch.Erase(order);
  }
  if (step.start_again) {
    const v1::WorkloadSpec* spec = em.catalog->FindWorkload(recovery.workload());
    batch.Put(StartOrder(em, *spec, step.workload, recovery.id()));
  }
  if (step.order) {
    v1::Order order = *step.order;
    EMBER_RETURN_IF_ERROR(GrantReading(em, step.order_node, &order));
    batch.Put(NewOrder(em, step.order_node, std::move(order)));
  }
  return em.Commit(batch);
}

absl::Status ForgetOldRecoveries(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (em.catalog->recoveries().size() <= kEndedRecoveriesKept) return absl::OkStatus();
  std::set<std::string> wanted;
  for (const auto& [name, workload] : em.catalog->workloads())
    wanted.insert(workload.last_recovery());
  std::vector<std::pair<absl::Time, const rec::RecoveryRecord*>> ended;
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (!IsOpen(recovery.recovery().state()) && wanted.count(id) == 0)
      ended.emplace_back(rpc::FromTimestamp(recovery.recovery().ended()), &recovery);
  }
  std::sort(ended.begin(), ended.end());
  // Some at once, so that this is seldom.
  Batch batch;
  for (size_t i = 0; i < std::min(ended.size(), kEndedRecoveriesKept / 4); ++i)
    batch.Erase(*ended[i].second);
  return em.Commit(batch);
}

}  // namespace

const rec::RecoveryRecord* OpenRecoveryOf(const EmState& em, const std::string& workload) {
  for (const std::string& id : em.catalog->RecoveriesOf(workload)) {
    const rec::RecoveryRecord& recovery = em.catalog->recoveries().at(id);
    if (IsOpen(recovery.recovery().state())) return &recovery;
  }
  return nullptr;
}

std::string NextRecoveryId(const EmState& em, Batch* batch) {
  rec::MetaRecord meta = em.catalog->meta();
  // Of a catalog from before they were counted.
  meta.set_recoveries_begun(
      std::max<uint64_t>(meta.recoveries_begun(), em.catalog->recoveries().size()) + 1);
  batch->Put(meta);
  return absl::StrCat("r-", meta.recoveries_begun());
}

absl::Status RefuseWhileRecovered(const EmState& em, const std::string& workload) {
  const rec::RecoveryRecord* open = OpenRecoveryOf(em, workload);
  if (open == nullptr) return absl::OkStatus();
  const std::string& id = open->recovery().id();
  return WithHint(absl::FailedPreconditionError(
                      absl::StrCat("workload '", workload, "' is being recovered by ", id)),
                  absl::StrCat("ember recovery cancel ", id, " holds it where it is"));
}

const rec::RecoveryRecord* RecoveryToShow(const EmState& em, const rec::WorkloadRecord& workload) {
  if (const rec::RecoveryRecord* open = OpenRecoveryOf(em, workload.name())) return open;
  const auto last = em.catalog->recoveries().find(workload.last_recovery());
  const bool waits =
      last != em.catalog->recoveries().end() && !last->second.recovery().next_command().empty();
  return waits ? &last->second : nullptr;
}

WorkloadJudgement JudgeNow(const EmState& em, const v1::WorkloadSpec& spec,
                           const rec::WorkloadRecord& workload) {
  if (StateOf(em, workload.node()) != v1::NodeState::ALIVE) return {};
  const HeardWorkload* heard = HeardOf(em, workload.node(), spec.name());
  // Facts of an earlier placement say nothing about this one.
  if (heard == nullptr || heard->fact.epoch() < workload.epoch()) return {};
  const auto last = em.board.application_beats.find(spec.name());
  const bool beat_since = last != em.board.application_beats.end() && last->second > heard->started;
  ApplicationBeat beat;
  beat.heard = beat_since || heard->taken_over;
  beat.silence = em.clock->Monotonic() - (beat_since ? last->second : heard->started);
  return JudgeWorkload(spec, &heard->fact, beat);
}

absl::Status AdvanceRecoveries(EmState& em) {
  std::vector<std::string> open;
  for (const auto& [id, recovery] : em.catalog->recoveries()) {
    if (IsOpen(recovery.recovery().state())) open.push_back(recovery.recovery().workload());
  }
  if (open.empty()) return ForgetOldRecoveries(em);
  RecoveryPass pass(em);
  for (const std::vector<std::string>& wave :
       DependencyGraph(em.catalog->estate().estate()).Waves(open)) {
    for (const std::string& name : wave) {
      const rec::RecoveryRecord* recovery = OpenRecoveryOf(em, name);
      const v1::WorkloadSpec* spec = em.catalog->FindWorkload(name);
      if (recovery == nullptr || spec == nullptr) continue;
      const RecoveryStepResult step =
          AdvanceRecovery(*recovery, ViewFor(em, *spec, *recovery, &pass));
      if (!step.changed) continue;
      EMBER_RETURN_IF_ERROR(WriteStep(em, step));
      pass.Note(em, step.recovery);
    }
  }
  return ForgetOldRecoveries(em);
}

}  // namespace ember::controller
