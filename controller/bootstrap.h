// A controller made anew, from a vault and the recovery kit, when its disk is lost.
#ifndef EMBER_CONTROLLER_BOOTSTRAP_H_
#define EMBER_CONTROLLER_BOOTSTRAP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace ember::controller {

struct BootstrapOptions {
  std::string state_directory;  // made; absent or empty before
  std::string vault;            // its directory, also as file://PATH
  std::string kit_file;
  Clock* clock = nullptr;
};

struct Bootstrapped {
  std::string estate_id;
  absl::Time made;  // the export
  int nodes = 0;
  int workloads = 0;
  int backups = 0;
  std::vector<std::string> passed_over;  // newer exports that could not be used: a sentence each
};

// From the newest export in the vault that can be used. The controller then observes until it is
// armed. All or nothing: on an error the state directory is as it was. ALREADY_EXISTS: there is
// something in it. NOT_FOUND: no vault, or none with an export. INVALID_ARGUMENT: the kit.
// DATA_LOSS: no export can be used.
absl::StatusOr<Bootstrapped> BootstrapEstate(const BootstrapOptions& options);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_BOOTSTRAP_H_
