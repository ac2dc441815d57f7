#include "common/base/allocator.h"

#include <malloc.h>

#include "common/base/limits.h"

namespace ember {

void LimitAllocator() {
  mallopt(M_ARENA_MAX, kMallocArenas);
  mallopt(M_TRIM_THRESHOLD, kMallocTrimBytes);
  mallopt(M_MMAP_THRESHOLD, kMallocMapBytes);
}

}  // namespace ember
