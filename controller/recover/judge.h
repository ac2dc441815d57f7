// Judges one workload by what its agent said. Pure.
#ifndef EMBER_CONTROLLER_RECOVER_JUDGE_H_
#define EMBER_CONTROLLER_RECOVER_JUDGE_H_

#include <string>

#include "absl/time/time.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

enum class Health { kUnknown, kStarting, kHealthy, kFailing, kDead };

struct WorkloadJudgement {
  Health health = Health::kUnknown;
  std::string cause;  // for kFailing and kDead, in words for the owner
};

// `fact` null: its agent said nothing (yet). `application_beat`: the newest `ember beat`, or the
// start of the wait for the first one; used by heartbeat workloads only.
WorkloadJudgement JudgeWorkload(const v1::WorkloadSpec& spec, const v1::WorkloadFact* fact,
                                absl::Time application_beat, absl::Time now);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_JUDGE_H_
