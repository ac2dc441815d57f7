#ifndef EMBER_COMMON_FILES_RESTORE_PLAN_H_
#define EMBER_COMMON_FILES_RESTORE_PLAN_H_

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ember/v1/types.pb.h"

namespace ember::files {

// What of a backup is wanted, and where.
struct RestorePlan {
  std::string order_id;  // names the staging directory, so that a repeat finds and replaces it
  std::string target_directory;  // empty: in place. One root: takes its place; several: each below
                                 // by its full path
  std::vector<std::string> paths;  // as the owner gave them (absolute); empty: all
  bool anyway = false;
  bool dry_run = false;  // compare only
  bool refuse_existing =
      false;       // FAILED_PRECONDITION (TargetNotEmpty) when something would be replaced
  absl::Time now;  // names the safety copies
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const v1::Progress&)> progress;
};

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_RESTORE_PLAN_H_
