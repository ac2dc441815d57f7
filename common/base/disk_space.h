// How much room a file system has left.
#ifndef EMBER_COMMON_BASE_DISK_SPACE_H_
#define EMBER_COMMON_BASE_DISK_SPACE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace ember {

// RESOURCE_EXHAUSTED, naming `what`, when the file system of `directory` has less than
// `bytes_min` bytes for an ordinary user. A file system that does not say counts as having room.
absl::Status RequireFreeBytes(const std::string& directory, int64_t bytes_min,
                              const std::string& what);

// What an ordinary user can still write where `path` is, or would be made; 0: not known. A few stat
// calls.
int64_t FreeBytesAt(const std::string& path);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_DISK_SPACE_H_
