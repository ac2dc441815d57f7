#include "node-agent/service/log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "node-agent/service/guard_record.h"

namespace ember::agent {
namespace {

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629,
// table in section 4).
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const int first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool valid = (first != 0xE0 || byte(1) >= 0xA0) && (first != 0xED || byte(1) <= 0x9F);
    return valid && tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool valid = (first != 0xF0 || byte(1) >= 0x90) && (first != 0xF4 || byte(1) <= 0x8F);
    return valid && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// C0, DEL, and C1, which terminals obey as well.
bool IsControl(absl::string_view sequence) {
  if (sequence.size() == 1) return absl::ascii_iscntrl(sequence[0]);
  return sequence.size() == 2 && sequence[0] == '\xC2' && static_cast<uint8_t>(sequence[1]) < 0xA0;
}

std::string Shown(absl::string_view sequence, bool valid) {
  if (valid && !IsControl(sequence)) return std::string(sequence);
  if (sequence == "\t") return std::string(1, ' ');
  std::string shown;
  for (const char c : sequence) absl::StrAppendFormat(&shown, "\\x%02x", static_cast<uint8_t>(c));
  return shown;
}

// The last bytes of a file, enough for a full tail; "" when it cannot be read.
std::string ReadEnd(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd.valid() || fstat(fd.get(), &info) != 0) return "";
  std::string data(std::min<size_t>(info.st_size, kLogTailLines * kLogLineBytesMax * 2), '\0');
  const ssize_t n = pread(fd.get(), data.data(), data.size(), info.st_size - data.size());
  data.resize(n > 0 ? n : 0);
  return data;
}

}  // namespace

std::string PrintableLine(absl::string_view line) {
  std::string printable;
  while (!line.empty()) {
    const size_t length = SequenceLength(line);
    const absl::string_view sequence = line.substr(0, std::max<size_t>(length, 1));
    const std::string shown = Shown(sequence, length > 0);
    if (printable.size() + shown.size() > kLogLineBytesMax) break;
    printable += shown;
    line.remove_prefix(sequence.size());
  }
  return printable;
}

std::vector<std::string> LastLines(absl::string_view text) {
  std::vector<std::string> lines;
  const std::vector<absl::string_view> all = absl::StrSplit(text, '\n');
  for (auto line = all.rbegin(); line != all.rend() && lines.size() < kLogTailLines; ++line) {
    const absl::string_view content = absl::StripTrailingAsciiWhitespace(*line);
    if (!content.empty()) lines.push_back(PrintableLine(content));
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> OutputTail(const std::string& state_directory) {
  return LastLines(absl::StrCat(ReadEnd(JoinPath(state_directory, kOlderOutputFile)),
                                ReadEnd(JoinPath(state_directory, kOutputFile))));
}

}  // namespace ember::agent
