#include "common/base/log.h"

#include <unistd.h>

#include <atomic>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace ember {
namespace {

std::atomic<LogLevel> least_level{LogLevel::kInfo};
std::atomic<bool> as_json{false};

absl::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "DEBUG";
    case LogLevel::kInfo: return "INFO";
    case LogLevel::kWarning: return "WARNING";
    case LogLevel::kError: return "ERROR";
  }
  return "?";
}

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", absl::string_view(&c, 1));
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppend(&out, "\\u", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad4));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string TextValue(absl::string_view text) {
  const std::string escaped = absl::Utf8SafeCEscape(text);
  const bool plain = !text.empty() && text.find(' ') == absl::string_view::npos && escaped == text;
  return plain ? escaped : absl::StrCat("\"", escaped, "\"");
}

}  // namespace

void ConfigureLog(LogLevel least, bool json) {
  least_level = least;
  as_json = json;
}

void Log(LogLevel level, absl::string_view component, absl::string_view message,
         std::initializer_list<LogField> fields) {
  if (level < least_level) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", SystemClock()->Now(), absl::UTCTimeZone());
  std::string line;
  if (as_json) {
    line = absl::StrCat("{\"level\":\"", Name(level), "\",\"time\":\"", time, "\",\"component\":", JsonString(component),
                        ",\"message\":", JsonString(message));
    for (const LogField& field : fields) {
      absl::StrAppend(&line, ",", JsonString(field.key()), ":", JsonString(field.value()));
    }
    line += "}\n";
  } else {
    line = absl::StrCat(Name(level), " ", time, " ", component, " ", absl::Utf8SafeCEscape(message));
    for (const LogField& field : fields) absl::StrAppend(&line, " ", field.key(), "=", TextValue(field.value()));
    line.push_back('\n');
  }
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace ember
