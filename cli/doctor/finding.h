// What `ember doctor` finds on this machine.
#ifndef EMBER_CLI_DOCTOR_FINDING_H_
#define EMBER_CLI_DOCTOR_FINDING_H_

#include <string>
#include <vector>

#include "cli/context.h"

namespace ember::cli {

struct Finding {
  enum Level { kOk, kWarn, kFail };
  Level level = kOk;
  std::string check;    // "clock"
  std::string message;  // what was found
  std::string next;     // what to do; empty when there is nothing to
};

// Each appends its findings, at least one, and never fails itself.

// The identity's certificate, the EM's answer, its version, and how far the two clocks are apart.
void CheckEm(Context& context, std::vector<Finding>* findings);
// Version and kernel, what this user may do, room, libvirt. `directory` is where data would be.
void CheckHost(const std::string& directory, std::vector<Finding>* findings);
// What the file system of `directory` can hold, tried in a directory of its own that is removed
// again.
void CheckFileSystem(const std::string& directory, std::vector<Finding>* findings);

}  // namespace ember::cli

#endif  // EMBER_CLI_DOCTOR_FINDING_H_
