// How much memory this host has left.
#ifndef EMBER_COMMON_BASE_HOST_MEMORY_H_
#define EMBER_COMMON_BASE_HOST_MEMORY_H_

#include <cstdint>

namespace ember {

// MemAvailable of /proc/meminfo (proc(5)), in bytes; 0: not known.
int64_t AvailableMemory();

}  // namespace ember

#endif  // EMBER_COMMON_BASE_HOST_MEMORY_H_
