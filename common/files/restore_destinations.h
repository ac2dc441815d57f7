#ifndef EMBER_COMMON_FILES_RESTORE_DESTINATIONS_H_
#define EMBER_COMMON_FILES_RESTORE_DESTINATIONS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/files/restore_place.h"
#include "common/files/restore_plan.h"

namespace ember::files {

// Where each part of the backup goes that `plan` asks for: one destination per root, or per path.
// Sorted in path order, none below another. `root_is_directory` is asked for the only root of a
// backup that goes to a directory: a file is put into that directory, a directory becomes it.
// INVALID_ARGUMENT or NOT_FOUND for paths that cannot be in the backup.
absl::StatusOr<std::vector<Destination>> FindDestinations(
    const format::v1::BackupSummary& summary, const RestorePlan& plan,
    const std::function<absl::StatusOr<bool>(const std::string& root)>& root_is_directory);

// FAILED_PRECONDITION (TargetNotEmpty) when restoring there would replace something.
absl::Status CheckNothingReplaced(const RestorePlan& plan, const std::vector<Place>& places);

// RESOURCE_EXHAUSTED (DiskFull) when a file system has not the room for what its places get.
absl::Status CheckSpace(const std::vector<Place>& places,
                        const std::map<std::string, int64_t>& bytes_by_path);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_RESTORE_DESTINATIONS_H_
