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

// The application's own heartbeat. A beat from before the present start says nothing about it.
struct ApplicationBeat {
  bool heard = false;                             // since it was started
  absl::Duration silence = absl::ZeroDuration();  // since the newest beat, or the start when later
};

// `fact` null: its agent said nothing (yet). `beat` is used by heartbeat workloads only: they are
// kStarting until the first beat.
WorkloadJudgement JudgeWorkload(const v1::WorkloadSpec& spec, const v1::WorkloadFact* fact,
                                const ApplicationBeat& beat);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_JUDGE_H_
