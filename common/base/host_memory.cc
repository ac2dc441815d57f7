#include "common/base/host_memory.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"

namespace ember {

int64_t AvailableMemory() {
  const absl::StatusOr<std::string> text = ReadFile("/proc/meminfo", 64 << 10);
  if (!text.ok()) return 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kibibytes = 0;
    if (words.size() >= 2 && words[0] == "MemAvailable:" && absl::SimpleAtoi(words[1], &kibibytes))
      return kibibytes << 10;
  }
  return 0;
}

}  // namespace ember
