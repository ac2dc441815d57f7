// The one log: `level time component message key=value`, or JSON lines, to stderr.
#ifndef EMBER_COMMON_BASE_LOG_H_
#define EMBER_COMMON_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ember {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A key and its value; the value is whatever absl::StrCat takes.
class LogField {
 public:
  LogField(absl::string_view key, const absl::AlphaNum& value) : key_(key), value_(value.Piece()) {}
  absl::string_view key() const { return key_; }
  absl::string_view value() const { return value_; }

 private:
  std::string key_;
  std::string value_;
};

// Call once, before other threads start. Default: text, kInfo.
void ConfigureLog(LogLevel least, bool json);

// Thread-safe; one write(2) per line. Control characters in any part are escaped.
void Log(LogLevel level, absl::string_view component, absl::string_view message,
         std::initializer_list<LogField> fields = {});

inline void LogInfo(absl::string_view component, absl::string_view message,
                    std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, component, message, fields);
}
inline void LogWarning(absl::string_view component, absl::string_view message,
                       std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, component, message, fields);
}
inline void LogError(absl::string_view component, absl::string_view message,
                     std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, component, message, fields);
}

}  // namespace ember

#endif  // EMBER_COMMON_BASE_LOG_H_
