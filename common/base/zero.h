// Whether data is worth keeping at all: zeroes become holes.
#ifndef EMBER_COMMON_BASE_ZERO_H_
#define EMBER_COMMON_BASE_ZERO_H_

#include "absl/strings/string_view.h"

namespace ember {

// True when every byte of `data` is 0, also when there is none. Returns at the first that is not.
bool IsAllZero(absl::string_view data);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_ZERO_H_
