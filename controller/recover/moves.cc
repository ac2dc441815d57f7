#include "controller/recover/moves.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/recover/dependency_graph.h"
#include "controller/recover/known.h"
#include "controller/recover/recoveries.h"
#include "controller/recover/recovery_view.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::Status Refused(const v1::WorkloadSpec& spec, absl::string_view why, absl::string_view next) {
  return WithHint(absl::FailedPreconditionError(
                      absl::StrCat("workload '", spec.name(), "' cannot be moved now: ", why)),
                  next);
}

// Home first, for what is elsewhere.
std::vector<std::string> PlacesOf(const v1::WorkloadSpec& spec) {
  std::vector<std::string> places = {spec.node()};
  places.insert(places.end(), spec.recovery().standby().begin(), spec.recovery().standby().end());
  return places;
}

absl::Status MayLeave(const EmState& em, const v1::WorkloadSpec& spec,
                      const rec::WorkloadRecord& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  EMBER_RETURN_IF_ERROR(RefuseWhileRecovered(em, spec.name()));
  if (em.catalog->freeze().maintenance())
    return Refused(spec, "the estate is in maintenance", "ember node maintenance off --all");
  if (em.catalog->freeze().frozen()) return Refused(spec, "the estate is frozen", "ember status");
  if (workload.held())
    return Refused(spec, "it is held", absl::StrCat("ember workload release ", spec.name()));
  if (StateOf(em, workload.node()) != v1::NodeState::ALIVE) {
    return Refused(spec, absl::StrCat("its node ", workload.node(), " is not ALIVE"),
                   absl::StrCat("ember recovery plan ", spec.name()));
  }
  if (workload.state() != v1::WorkloadState::RUNNING) {
    return Refused(spec,
                   absl::StrCat("it is ", v1::WorkloadState::Value_Name(workload.state()),
                                ", and only what runs well is moved"),
                   absl::StrCat("ember workload show ", spec.name()));
  }
  return absl::OkStatus();
}

absl::Status MayArrive(const EmState& em, const v1::WorkloadSpec& spec,
                       const rec::WorkloadRecord& workload, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const std::vector<std::string> places = PlacesOf(spec);
  if (node == workload.node())
    return Refused(spec, absl::StrCat("it is on ", node, " already"), "ember workload list");
  if (em.catalog->nodes().count(node) == 0) return NodeNotFound(node);
  if (std::find(places.begin(), places.end(), node) == places.end()) {
    return Refused(
        spec, absl::StrCat(node, " is not one of its nodes (", absl::StrJoin(places, ", "), ")"),
        "add it to `recovery: {standby: […]}` in the estate file, then `ember apply`");
  }
  if (StateOf(em, node) != v1::NodeState::ALIVE)
    return Refused(spec, absl::StrCat(node, " is not ALIVE"),
                   absl::StrCat("ember node show ", node));
  if (InMaintenance(em, node)) {
    return Refused(spec, absl::StrCat(node, " is in maintenance"),
                   absl::StrCat("ember node maintenance off ", node));
  }
  const RecoveryView view = ViewFor(em, spec, rec::RecoveryRecord());
  const int64_t size = view.backups.empty() ? 0 : view.backups[0].size_bytes;
  if (const std::string why = RuledOut(view, node, size); !why.empty())
    return Refused(spec, absl::StrCat("not to ", node, ": ", why),
                   absl::StrCat("ember node show ", node));
  return absl::OkStatus();
}

absl::Status MayMove(const EmState& em, const v1::WorkloadSpec& spec,
                     const rec::WorkloadRecord& workload, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  EMBER_RETURN_IF_ERROR(MayLeave(em, spec, workload));
  return MayArrive(em, spec, workload, node);
}

// Where a drain moves it; an error when nowhere now.
absl::StatusOr<std::string> PlaceFor(const EmState& em, const v1::WorkloadSpec& spec,
                                     const rec::WorkloadRecord& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  EMBER_RETURN_IF_ERROR(MayLeave(em, spec, workload));
  absl::Status first = Refused(spec, "it has no standby node",
                               "give it a `standby` in the estate file, then `ember apply`");
  for (const std::string& place : PlacesOf(spec)) {
    if (place == workload.node()) continue;
    const absl::Status may = MayArrive(em, spec, workload, place);
    if (may.ok()) return place;
    first = may;
  }
  return first;
}

// The open move of a workload; null: there is none.
const v1::Recovery* OpenMove(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  for (const std::string& id : em.catalog->RecoveriesOf(workload)) {
    const v1::Recovery& recovery = em.catalog->recoveries().at(id).recovery();
    if (recovery.planned() && IsOpen(recovery.state())) return &recovery;
  }
  return nullptr;
}

bool IsMovingAwayFrom(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  return std::any_of(
      em.catalog->recoveries().begin(), em.catalog->recoveries().end(), [&](const auto& entry) {
        const v1::Recovery& recovery = entry.second.recovery();
        return IsOpen(recovery.state()) && recovery.planned() && recovery.node() == node;
      });
}

// Empty: none is due.
std::string DueFrom(const EmState& em, const v1::WorkloadSpec& spec,
                    const rec::WorkloadRecord& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto here = em.catalog->nodes().find(workload.node());
  if (here == em.catalog->nodes().end() || !here->second.has_drained()) return "";
  const bool tried = workload.has_last_move() && rpc::FromTimestamp(workload.last_move()) >=
                                                     rpc::FromTimestamp(here->second.drained());
  if (tried || IsMovingAwayFrom(em, workload.node())) return "";
  const absl::StatusOr<std::string> place = PlaceFor(em, spec, workload);
  return place.ok() ? *place : "";
}

// What the home was left with must be kept first.
bool FailBackIsDue(const EmState& em, const v1::WorkloadSpec& spec,
                   const rec::WorkloadRecord& workload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const absl::Duration after = absl::Seconds(spec.recovery().fail_back_seconds());
  const auto home = em.catalog->nodes().find(spec.node());
  if (after == absl::ZeroDuration() || workload.node() == spec.node() ||
      home == em.catalog->nodes().end() || home->second.state() != v1::NodeState::ALIVE)
    return false;
  const absl::Time since = rpc::FromTimestamp(home->second.state_since());
  if (em.clock->Now() - since < after) return false;
  if (workload.has_last_move() && rpc::FromTimestamp(workload.last_move()) >= since) return false;
  for (const rec::LeftData& left : workload.left()) {
    if (left.node() == spec.node() && left.backup_id().empty()) return false;
  }
  return MayMove(em, spec, workload, spec.node()).ok();
}

absl::StatusOr<rec::RecoveryRecord> Begin(const EmState& em, const v1::WorkloadSpec& spec,
                                          rec::WorkloadRecord workload, const std::string& target,
                                          absl::string_view cause, Batch* batch)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  EMBER_RETURN_IF_ERROR(MayMove(em, spec, workload, target));
  const absl::Time now = em.clock->Now();
  const rec::RecoveryRecord recovery =
      NewMove(NextRecoveryId(em, batch), spec, workload, target, cause, now);
  batch->AddEvent("recovery.moving", recovery.recovery().id(),
                  absl::StrCat(spec.name(), ": to be moved from ", workload.node(), " to ", target,
                               ": ", cause),
                  spec.name());
  workload.set_state(v1::WorkloadState::RECOVERING);
  *workload.mutable_state_since() = rpc::ToTimestamp(now);
  batch->Put(workload);
  batch->Put(recovery);
  return recovery;
}

absl::Status BeginIfDue(EmState& em, const v1::WorkloadSpec& spec, rec::WorkloadRecord workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::string target = DueFrom(em, spec, workload);
  std::string cause = absl::StrCat("node ", workload.node(), " is drained");
  if (target.empty() && FailBackIsDue(em, spec, workload)) {
    target = spec.node();
    cause = absl::StrCat("its home ", target, " is well again (fail_back)");
  }
  if (target.empty()) return absl::OkStatus();
  *workload.mutable_last_move() = rpc::ToTimestamp(em.clock->Now());
  Batch batch;
  EMBER_RETURN_IF_ERROR(Begin(em, spec, std::move(workload), target, cause, &batch).status());
  return em.Commit(batch);
}

}  // namespace

absl::StatusOr<rec::RecoveryRecord> BeginMove(const EmState& em, const std::string& workload,
                                              const std::string& node, absl::string_view cause,
                                              Batch* batch) {
  const v1::WorkloadSpec* spec = em.catalog->FindWorkload(workload);
  const auto it = em.catalog->workloads().find(workload);
  if (spec == nullptr || it == em.catalog->workloads().end()) return WorkloadNotFound(workload);
  return Begin(em, *spec, it->second, node.empty() ? spec->node() : node, cause, batch);
}

absl::Status BeginDueMoves(EmState& em) {
  const v1::Estate& estate = em.catalog->estate().estate();
  std::vector<std::string> names;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (it == em.catalog->workloads().end()) continue;
    const auto here = em.catalog->nodes().find(it->second.node());
    const bool drained = here != em.catalog->nodes().end() && here->second.has_drained();
    const bool away = it->second.node() != spec.node() && spec.recovery().fail_back_seconds() > 0;
    if (drained || away) names.push_back(spec.name());
  }
  if (names.empty()) return absl::OkStatus();
  for (const std::vector<std::string>& wave : DependencyGraph(estate).Waves(names)) {
    for (const std::string& name : wave) {
      EMBER_RETURN_IF_ERROR(
          BeginIfDue(em, *em.catalog->FindWorkload(name), em.catalog->workloads().at(name)));
    }
  }
  return absl::OkStatus();
}

void SetDrained(const EmState& em, bool on, rec::NodeRecord* node, Batch* batch) {
  node->clear_drained();
  if (on) *node->mutable_drained() = rpc::ToTimestamp(em.clock->Now());
  for (const v1::WorkloadSpec& spec : em.catalog->estate().estate().workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (on || spec.node() != node->name() || it == em.catalog->workloads().end()) continue;
    rec::WorkloadRecord workload = it->second;
    workload.clear_last_move();
    batch->Put(workload);
  }
}

std::vector<v1::DrainStep> DrainPlan(const EmState& em, const std::string& node) {
  std::vector<v1::DrainStep> plan;
  for (const v1::WorkloadSpec& spec : em.catalog->estate().estate().workloads()) {
    const auto it = em.catalog->workloads().find(spec.name());
    if (it == em.catalog->workloads().end() || it->second.node() != node) continue;
    v1::DrainStep step;
    step.set_workload(spec.name());
    const v1::Recovery* move = OpenMove(em, spec.name());
    const absl::StatusOr<std::string> place =
        move != nullptr ? move->target() : PlaceFor(em, spec, it->second);
    if (place.ok()) {
      step.set_target(*place);
    } else {
      step.set_reason(std::string(place.status().message()));
    }
    plan.push_back(std::move(step));
  }
  return plan;
}

}  // namespace ember::controller
