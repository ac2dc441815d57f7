// The C library's allocator.
#ifndef EMBER_COMMON_BASE_ALLOCATOR_H_
#define EMBER_COMMON_BASE_ALLOCATOR_H_

namespace ember {

// Sets the limits kMalloc* (mallopt(3)) for this process. Before the first thread is started.
void LimitAllocator();

}  // namespace ember

#endif  // EMBER_COMMON_BASE_ALLOCATOR_H_
