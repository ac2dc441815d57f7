// What would happen if a node or workload died now.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "controller/recover/dependency_graph.h"
#include "controller/recover/recoveries.h"

namespace ember::controller {

namespace rec = record::v1;

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
  int wave_number = 0;
  for (const std::vector<std::string>& wave : DependencyGraph(estate).Waves(dying)) {
    ++wave_number;
    for (const std::string& name : wave) {
      const v1::WorkloadSpec& spec = *FindWorkload(estate, name);
      rec::RecoveryRecord draft;
      RecoveryView view = ViewFor(em, spec, draft);
      // In the preview earlier waves count as recovered, and the subject as dead.
      view.unmet_dependencies.clear();
      view.escalated_dependencies.clear();
      if (is_node) {
        view.nodes[subject] = v1::NodeState::DEAD;
        for (BackupChoice& backup : view.backups)
          backup.reachable = backup.reachable && backup.vault.node() != subject;
      }
      const Candidate candidate = ChooseCandidate(draft, view);
      v1::PlanStep* step = reply.add_items();
      step->set_workload(name);
      step->set_wave(wave_number);
      step->set_action(candidate.kind == Candidate::kTry ? std::string(ActionText(candidate.action))
                       : candidate.kind == Candidate::kWait ? "wait"
                                                            : "escalate");
      step->set_target(candidate.target);
      step->set_backup_id(candidate.backup.id);
      step->set_reason(candidate.needs_approval ? absl::StrCat("after approval: ", candidate.reason)
                                                : candidate.reason);
    }
  }
  return reply;
}

}  // namespace ember::controller
