#include "cli/output.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/utf8.h"
#include "common/base/limits.h"

namespace ember::cli {
namespace {

constexpr absl::string_view kGap = "  ";
// A column is not shortened below this: "a…" tells nobody anything.
constexpr size_t kColumnMin = 4;

bool Harmful(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) ||  // C0, DEL, C1
         c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;  // line separators, directions, BOM
}

// Wide and combining characters, the ranges of Unicode 15 that matter in names.
size_t WidthOf(uint32_t c) {
  if ((c >= 0x0300 && c <= 0x036f) || (c >= 0x200b && c <= 0x200d) || (c >= 0xfe00 && c <= 0xfe0f))
    return 0;
  const bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                    (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                    (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                    (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
                    (c >= 0x20000 && c <= 0x3fffd);
  return wide ? 2 : 1;
}

std::string Shorten(absl::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  size_t used = 0;
  while (!text.empty()) {
    const Rune rune = NextRune(text);
    if (used + WidthOf(rune.code) > width - 1) break;
    used += WidthOf(rune.code);
    absl::StrAppend(&out, text.substr(0, rune.bytes));
    text.remove_prefix(rune.bytes);
  }
  return out + "…";
}

std::string Pad(absl::string_view text, size_t width, bool right) {
  const std::string spaces(width - std::min(width, DisplayWidth(text)), ' ');
  return right ? absl::StrCat(spaces, text) : absl::StrCat(text, spaces);
}

}  // namespace

std::string Escape(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Rune rune = NextRune(text);
    const absl::string_view bytes = text.substr(0, rune.bytes);
    if (!rune.valid) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(bytes[0]));
    } else if (rune.code == '\n') {
      out += "\\n";
    } else if (rune.code == '\t') {
      out += "\\t";
    } else if (Harmful(rune.code)) {
      absl::StrAppendFormat(&out, rune.code < 0x100 ? "\\x%02x" : "\\u{%04x}", rune.code);
    } else {
      absl::StrAppend(&out, bytes);
    }
    text.remove_prefix(rune.bytes);
  }
  return out;
}

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Rune rune = NextRune(text);
    width += WidthOf(rune.code);
    text.remove_prefix(rune.bytes);
  }
  return width;
}

std::string Styled(absl::string_view text, Style style, bool colors) {
  if (!colors || style == Style::kPlain) return std::string(text);
  const char* color = style == Style::kGood ? "32" : style == Style::kWarning ? "33" : "31";
  return absl::StrCat("\x1b[", color, "m", text, "\x1b[0m");
}

void Table::Add(std::vector<Cell> cells) {
  assert(cells.size() == columns_.size());
  for (Cell& cell : cells) cell.text = cell.text.empty() ? "-" : Escape(cell.text);
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = DisplayWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i].text));
    widths.push_back(width);
  }
  const size_t room = kTableColumns - kGap.size() * (columns_.size() - 1);
  for (const bool whole : {false, true}) {
    while (std::accumulate(widths.begin(), widths.end(), size_t{0}) > room) {
      size_t widest = widths.size();
      for (size_t i = 0; i < widths.size(); ++i) {
        if (columns_[i].whole != whole || widths[i] <= kColumnMin) continue;
        if (widest == widths.size() || widths[i] > widths[widest]) widest = i;
      }
      if (widest == widths.size()) break;
      --widths[widest];
    }
  }
  return widths;
}

std::string Table::Format(bool colors) const {
  const std::vector<size_t> widths = Widths();
  std::string out;
  auto line = [&](auto text_of, auto style_of) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string text = Shorten(text_of(i), widths[i]);
      const bool last = i + 1 == columns_.size();
      const std::string cell =
          last && !columns_[i].right ? text : Pad(text, widths[i], columns_[i].right);
      absl::StrAppend(&out, i == 0 ? "" : kGap, Styled(cell, style_of(i), colors));
    }
    out += '\n';
  };
  line([&](size_t i) -> const std::string& { return columns_[i].title; },
       [](size_t) { return Style::kPlain; });
  for (const auto& row : rows_) {
    line([&](size_t i) -> const std::string& { return row[i].text; },
         [&](size_t i) { return row[i].style; });
  }
  return out;
}

std::string FormatFields(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) width = std::max(width, name.size());
  }
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!value.empty())
      absl::StrAppend(&out, Pad(name + ":", width + 2, false), Escape(value), "\n");
  }
  return out;
}

}  // namespace ember::cli
