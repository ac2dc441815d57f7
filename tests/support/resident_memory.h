// How much memory this process has needed.
#ifndef EMBER_TESTS_SUPPORT_RESIDENT_MEMORY_H_
#define EMBER_TESTS_SUPPORT_RESIDENT_MEMORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"

namespace ember::testing {

// The peak of its resident memory since it began (proc(5), VmHWM); -1: not known.
inline int64_t PeakResidentBytes() {
  const auto status = ReadFile("/proc/self/status");
  if (!status.ok()) return -1;
  for (const absl::string_view line : absl::StrSplit(*status, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kibibytes = 0;
    if (words.size() == 3 && words[0] == "VmHWM:" && absl::SimpleAtoi(words[1], &kibibytes))
      return kibibytes << 10;
  }
  return -1;
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_RESIDENT_MEMORY_H_
