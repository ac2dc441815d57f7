#include "node-agent/supervise/decide.h"

namespace ember::agent {

bool MayRunElsewhere(const v1::WorkloadSpec& spec) {
  return spec.recovery().class_() == v1::RecoverySpec::EXCLUSIVE &&
         spec.recovery().standby_size() > 0;
}

Decision Decide(const Situation& s) {
  if (!s.has_service) return Decision::kNothing;
  const bool must_stop = !s.want_run || s.restoring || (s.self_fence && s.fenced);
  if (must_stop) return s.running ? Decision::kStop : Decision::kNothing;
  if (s.running) return Decision::kNothing;
  const bool gated = s.self_fence || s.may_be_elsewhere;
  const bool may_start = s.epoch_current && !s.data_lost && (!gated || s.gate_open);
  if (!may_start || s.exhausted) return Decision::kNothing;
  if (s.restarts > s.restart_limit) return Decision::kGiveUp;
  return s.restart_due ? Decision::kStart : Decision::kNothing;
}

}  // namespace ember::agent
