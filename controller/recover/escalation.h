// What a person is told when a recovery is given up. Pure.
#ifndef EMBER_CONTROLLER_RECOVER_ESCALATION_H_
#define EMBER_CONTROLLER_RECOVER_ESCALATION_H_

#include <string>
#include <vector>

#include "controller/recover/saga.h"

namespace ember::controller {

// A line each: cause, node, what was tried, exit status, probes, the end of the service's log; as
// its agent last told them.
std::vector<std::string> Diagnostics(const record::v1::RecoveryRecord& recovery,
                                     const RecoveryView& view);

// The command that leads on, once its reader has mended what is wrong.
std::string NextCommand(const record::v1::RecoveryRecord& recovery, const RecoveryView& view);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_ESCALATION_H_
