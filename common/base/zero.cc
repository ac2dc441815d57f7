#include "common/base/zero.h"

#include <algorithm>
#include <cstring>

namespace ember {

bool IsAllZero(absl::string_view data) {
  constexpr size_t kHead = 64;
  const size_t head = std::min(kHead, data.size());
  for (size_t i = 0; i < head; ++i) {
    if (data[i] != 0) return false;
  }
  if (data.size() <= kHead) return true;
  // Each byte equals the one kHead before it: memcmp is the fastest loop of every C library.
  return std::memcmp(data.data() + head, data.data(), data.size() - head) == 0;
}

}  // namespace ember
