// Reading UTF-8 that may be anything.
#ifndef EMBER_CLI_UTF8_H_
#define EMBER_CLI_UTF8_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ember::cli {

struct Rune {
  uint32_t code = 0xfffd;
  size_t bytes = 1;    // to remove from the text
  bool valid = false;  // false: one byte that starts no well-formed sequence (RFC 3629)
};

// The first character of `text`, which must not be empty.
Rune NextRune(absl::string_view text);

bool IsUtf8(absl::string_view text);

}  // namespace ember::cli

#endif  // EMBER_CLI_UTF8_H_
