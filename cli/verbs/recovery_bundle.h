// What somebody who helps with a recovery from afar has to see, in one file.
#ifndef EMBER_CLI_VERBS_RECOVERY_BUNDLE_H_
#define EMBER_CLI_VERBS_RECOVERY_BUNDLE_H_

#include <string>

#include "absl/status/status.h"
#include "cli/client.h"
#include "cli/context.h"
#include "ember/v1/control.pb.h"

namespace ember::cli {

// Writes JSON into `file` (mode 0600): the recovery with its diagnostics, its workload with its
// backups and its earlier recoveries, the status page, and the last kBundleEventsMax events. No
// keys, and nothing of what was backed up; names, paths, addresses and the end of the service's log
// are in it.
absl::Status WriteRecoveryBundle(const Context& context, Client& client,
                                 const v1::Recovery& recovery, const std::string& file);

}  // namespace ember::cli

#endif  // EMBER_CLI_VERBS_RECOVERY_BUNDLE_H_
