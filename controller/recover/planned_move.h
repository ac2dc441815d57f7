// A workload that is moved although nothing died: by a person's word, by a drain, or back to its
// home. Backed up while it runs, stopped, backed up again, so that nothing is lost; from there on
// the move is like any recovery on a standby. Until then every obstacle calls it off, and it goes
// on where it is. Pure.
#ifndef EMBER_CONTROLLER_RECOVER_PLANNED_MOVE_H_
#define EMBER_CONTROLLER_RECOVER_PLANNED_MOVE_H_

#include <string>

#include "controller/recover/saga.h"
#include "ember/record/v1/records.pb.h"

namespace ember::controller {

struct MoveDecision {
  enum Kind {
    kWait,
    kBackUp,   // and wait for it
    kStop,     // where it is
    kStopped,  // its agent says so
    kGo,       // `candidate`
    kCallOff,  // it stays where it is
    kDied,     // with its node: a recovery like any other now
  } kind = kWait;
  std::string reason;
  Candidate candidate;
};

// For a recovery with `move_to` in DETECTED (it runs), FENCING (it is being stopped) or PLANNED (it
// is stopped).
MoveDecision DecideMove(const record::v1::RecoveryRecord& recovery, const RecoveryView& view);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_PLANNED_MOVE_H_
