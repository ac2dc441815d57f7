#include "node-agent/supervise/decide.h"

namespace ember::agent {

bool WaitsForController(const v1::WorkloadSpec& spec, bool self_fence, bool gate_open,
                        bool controller_had_its_say) {
  const bool exclusive = spec.recovery().class_() == v1::RecoverySpec::EXCLUSIVE;
  if (self_fence || (exclusive && spec.recovery().standby_size() > 0)) return !gate_open;
  return exclusive && !controller_had_its_say;
}

Decision Decide(const Situation& s) {
  if (!s.has_service) return Decision::kNothing;
  const bool must_stop = !s.want_run || s.restoring || s.fenced;
  if (must_stop) return s.running ? Decision::kStop : Decision::kNothing;
  if (s.running) return Decision::kNothing;
  const bool may_start = s.epoch_current && !s.data_lost && !s.waits;
  if (!may_start || s.exhausted) return Decision::kNothing;
  if (s.restarts > s.restart_limit) return Decision::kGiveUp;
  return s.restart_due ? Decision::kStart : Decision::kNothing;
}

}  // namespace ember::agent
