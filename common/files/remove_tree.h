#ifndef EMBER_COMMON_FILES_REMOVE_TREE_H_
#define EMBER_COMMON_FILES_REMOVE_TREE_H_

#include <string>

#include "absl/status/status.h"

namespace ember::files {

// Removes `name` in `directory` and everything below, also where modes or inode flags forbid it.
// Absent is OK. FAILED_PRECONDITION at a mount point, which is not emptied.
absl::Status RemoveTree(int directory, const std::string& name);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_REMOVE_TREE_H_
