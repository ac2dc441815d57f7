// What would happen if a node or workload died now.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "controller/fleet/nodes.h"
#include "controller/recover/dependency_graph.h"
#include "controller/recover/fences.h"
#include "controller/recover/recoveries.h"
#include "controller/recover/recovery_view.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Why nothing would be tried at all; empty when something would.
std::string WhyNothing(const EmState& em, const v1::WorkloadSpec& spec, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (spec.recovery().mode() == v1::RecoverySpec::MANUAL)
    return "its recovery mode is 'manual': a person is told";
  if (em.catalog->freeze().maintenance()) return "the estate is in maintenance";
  if (InMaintenance(em, node)) return absl::StrCat("node ", node, " is in maintenance");
  if (em.catalog->workloads().at(spec.name()).held()) return "it is held by a person";
  if (em.catalog->freeze().frozen()) return "the estate is frozen: too many nodes are silent";
  return "";
}

v1::PlanStep StepFor(const std::string& workload, int wave, const Candidate& candidate,
                     const RecoveryView& view, const std::string& why_nothing) {
  v1::PlanStep step;
  step.set_workload(workload);
  step.set_wave(wave);
  if (!why_nothing.empty()) {
    step.set_action("nothing");
    step.set_reason(why_nothing);
    return step;
  }
  step.set_action(candidate.kind == Candidate::kTry    ? std::string(ActionText(candidate.action))
                  : candidate.kind == Candidate::kWait ? "wait"
                                                       : "escalate");
  step.set_target(candidate.target);
  step.set_backup_id(candidate.backup.id);
  step.set_data_loss_seconds(absl::ToDoubleSeconds(candidate.data_loss));
  step.set_reason(candidate.needs_approval ? absl::StrCat("after approval: ", candidate.reason)
                                           : candidate.reason);
  if (view.fence_command.open && candidate.kind == Candidate::kTry) {
    step.set_reason(absl::StrCat("once the fence command of ", view.workload.node(),
                                 " says that it is off", step.reason().empty() ? "" : "; ",
                                 step.reason()));
  }
  return step;
}

}  // namespace

absl::StatusOr<v1::PlanRecoveryReply> PreviewRecovery(const EmState& em,
                                                      const std::string& subject) {
  const v1::Estate& estate = em.catalog->estate().estate();
  const bool is_node = em.catalog->nodes().count(subject) > 0;
  std::vector<std::string> dying;
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    const auto record = em.catalog->workloads().find(spec.name());
    if (record == em.catalog->workloads().end()) continue;
    if (spec.name() == subject || (is_node && record->second.node() == subject))
      dying.push_back(spec.name());
  }
  if (dying.empty() && !is_node) return WorkloadNotFound(subject);
  v1::PlanRecoveryReply reply;
  std::map<std::string, std::string> moved;  // to where, by the steps before
  std::map<std::string, Room> taken;         // by node, by those steps
  int wave_number = 0;
  RecoveryPass pass(em);
  for (const std::vector<std::string>& wave : DependencyGraph(estate).Waves(dying)) {
    ++wave_number;
    for (const std::string& name : wave) {
      const v1::WorkloadSpec& spec = *em.catalog->FindWorkload(name);
      rec::RecoveryRecord draft;
      RecoveryView view = ViewFor(em, spec, draft, &pass);
      // In the preview earlier waves count as recovered, and the subject as dead.
      view.unmet_dependencies.clear();
      view.escalated_dependencies.clear();
      if (is_node) {
        view.nodes[subject] = v1::NodeState::DEAD;
        for (BackupChoice& backup : view.backups)
          backup.reachable = backup.reachable && backup.vault.node() != subject;
        view.fence_command.open =
            HasFenceCommand(em, subject) && !FencesItselfWhenSilent(spec, view.workload);
        draft.set_fence_proven(view.fence_command.open);
      }
      for (auto& [other, place] : view.places) {
        const auto to = moved.find(other);
        if (to != moved.end()) place = to->second;
      }
      for (auto& [node, room] : view.rooms)
        room.Take(taken[node].memory_bytes, taken[node].data_bytes);
      const Candidate candidate = ChooseCandidate(draft, view);
      v1::PlanStep step =
          StepFor(name, wave_number, candidate, view, WhyNothing(em, spec, view.workload.node()));
      if (!step.target().empty()) {
        moved[name] = step.target();
        taken[step.target()].memory_bytes += spec.recovery().memory_bytes();
        taken[step.target()].data_bytes += candidate.backup.size_bytes;
      }
      *reply.add_items() = std::move(step);
    }
  }
  return reply;
}

}  // namespace ember::controller
