// The records of recoveries: how they begin, what they leave behind, how they are closed.
#include "common/rpc/convert.h"
#include "controller/recover/saga.h"

namespace ember::controller {

namespace rec = record::v1;

using State = v1::RecoveryState;

bool IsOpen(State::Value state) {
  return state != State::DONE && state != State::ESCALATED && state != State::CANCELLED &&
         state != State::UNKNOWN;
}

rec::RecoveryRecord NewRecovery(const std::string& id, const v1::WorkloadSpec& spec,
                                const rec::WorkloadRecord& workload, absl::string_view cause,
                                absl::Time died, absl::Time now, bool node_death) {
  rec::RecoveryRecord record;
  v1::Recovery& recovery = *record.mutable_recovery();
  recovery.set_id(id);
  recovery.set_workload(spec.name());
  recovery.set_node(workload.node());
  recovery.set_target(workload.node());
  recovery.set_state(State::DETECTED);
  recovery.set_cause(std::string(cause));
  *recovery.mutable_started() = rpc::ToTimestamp(now);
  recovery.set_detect_seconds(absl::ToDoubleSeconds(now - died));
  *record.mutable_died() = rpc::ToTimestamp(died);
  record.set_epoch(workload.epoch());
  record.set_node_death(node_death);
  v1::RecoveryStep* step = recovery.add_steps();
  *step->mutable_time() = rpc::ToTimestamp(now);
  step->set_state(State::DETECTED);
  step->set_message(std::string(cause));
  return record;
}

rec::RecoveryRecord NewMove(const std::string& id, const v1::WorkloadSpec& spec,
                            const rec::WorkloadRecord& workload, const std::string& target,
                            absl::string_view cause, absl::Time now) {
  rec::RecoveryRecord record = NewRecovery(id, spec, workload, cause, now, now, false);
  record.set_move_to(target);
  record.mutable_recovery()->set_target(target);
  record.mutable_recovery()->set_planned(true);
  return record;
}

void NoteLeftData(const rec::RecoveryRecord& recovery, const RecoveryView& view,
                  const std::string& target, rec::WorkloadRecord* workload) {
  auto* left = workload->mutable_left();
  const std::string& here = workload->node();
  for (int i = left->size() - 1; i >= 0; --i) {
    if (left->Get(i).node() == target || left->Get(i).node() == here) left->DeleteSubrange(i, 1);
  }
  const bool empty = view.spec.sources().empty() || (view.fact && view.fact->data_missing());
  if (empty || !recovery.move_to().empty()) return;
  rec::LeftData* data = left->Add();
  data->set_node(here);
  *data->mutable_since() = rpc::ToTimestamp(view.now);
  data->set_recovery(recovery.recovery().id());
}

void CloseEscalation(rec::RecoveryRecord* recovery, absl::string_view why, absl::Time now) {
  recovery->mutable_recovery()->clear_next_command();
  v1::RecoveryStep* step = recovery->mutable_recovery()->add_steps();
  *step->mutable_time() = rpc::ToTimestamp(now);
  step->set_state(recovery->recovery().state());
  step->set_message(std::string(why));
}

}  // namespace ember::controller
