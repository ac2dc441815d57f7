#include "controller/estate/problems.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"

namespace ember::controller {
namespace {

// A list of more known names than this helps nobody.
constexpr size_t kKnownNamesShown = 12;

// One line of bounded length, whatever a file's strings hold.
std::string Line(absl::string_view text) {
  std::string line(text.substr(0, kEstateErrorBytesMax));
  if (line.size() < text.size()) {
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80)
      line.pop_back();
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xC0) line.pop_back();
    line += "...";
  }
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}

}  // namespace

void Problems::Error(Position position, absl::string_view message) {
  if (errors_.size() < kEstateErrorsMax) {
    errors_.push_back({position, Line(message)});
  } else {
    ++errors_not_kept_;
  }
}

void Problems::Warn(Position position, absl::string_view message) {
  warnings_.push_back({position, Line(message)});
}

std::vector<Problems::Problem> Problems::Sorted(std::vector<Problem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.position.line, a.position.column) <
           std::tie(b.position.line, b.position.column);
  });
  return problems;
}

absl::Status Problems::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  std::string lines;
  size_t shown = 0;
  for (const Problem& error : Sorted(errors_)) {
    const std::string line = AtPosition(file_, error.position, error.message);
    if (shown > 0 && lines.size() + line.size() > kEstateErrorsBytesMax) break;
    absl::StrAppend(&lines, shown == 0 ? "" : "\n", line);
    ++shown;
  }
  if (shown < errors())
    absl::StrAppend(&lines, "\n", file_, ": and ", errors() - shown, " more errors");
  return WithHint(absl::InvalidArgumentError(lines),
                  absl::StrCat("correct ", file_, " and apply it again; nothing was changed"));
}

std::vector<std::string> Problems::Warnings() const {
  std::vector<std::string> lines;
  for (const Problem& warning : Sorted(warnings_)) {
    std::string line = AtPosition(file_, warning.position, warning.message);
    if (lines.empty() || lines.back() != line) lines.push_back(std::move(line));
  }
  return lines;
}

Position Positions::Of(absl::string_view path) const {
  while (true) {
    const auto it = positions_.find(path);
    if (it != positions_.end()) return it->second;
    const size_t slash = path.rfind('/');
    if (slash == absl::string_view::npos) return {};
    path = path.substr(0, slash);
  }
}

std::string Problems::Suggestion(absl::string_view word, const std::vector<std::string>& known,
                                 absl::string_view known_are) const {
  if (errors_.size() >= kEstateErrorsMax || word.size() > 2 * kNameBytesMax) return "";
  const std::string nearest = Nearest(word, known);
  if (!nearest.empty()) return absl::StrCat("; did you mean '", nearest, "'?");
  if (known.empty() || known.size() > kKnownNamesShown) return "";
  return absl::StrCat("; ", known_are, ": ", absl::StrJoin(known, ", "));
}

}  // namespace ember::controller
