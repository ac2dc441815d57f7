// Text for people: tables, fields, and names made harmless.
#ifndef EMBER_CLI_OUTPUT_H_
#define EMBER_CLI_OUTPUT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/context.h"

namespace ember::cli {

// `text` with everything that could drive a terminal or disguise a name (control characters,
// bidirectional overrides, bytes that are not UTF-8) written as \n, \xNN or \u{NNNN}. The result is
// valid UTF-8 on one line.
std::string Escape(absl::string_view text);

// Columns that `text` (valid UTF-8, escaped) takes on a terminal.
size_t DisplayWidth(absl::string_view text);

enum class Style { kPlain, kGood, kWarning, kBad };

struct Cell {
  Cell(std::string text, Style style = Style::kPlain)
      : text(std::move(text)), style(style) {}  // NOLINT: rows of text
  Cell(const char* text) : text(text) {}        // NOLINT
  std::string text;
  Style style = Style::kPlain;
};

struct Column {
  std::string title;
  bool right = false;  // aligned right
  bool whole = false;  // shortened only after all others: ids that people copy
};

// A table of at most kTableColumns columns. Cells are escaped; the widest columns are shortened
// with "…" until it fits.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns. An empty cell prints as "-".
  void Add(std::vector<Cell> cells);
  bool empty() const { return rows_.empty(); }
  // Lines, each ended by a newline, the titles first.
  std::string Format(bool colors) const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// "name:  value" lines, values aligned and escaped; empty values are left out.
std::string FormatFields(const std::vector<std::pair<std::string, std::string>>& fields);

// `text` in the style's colour when `colors`.
std::string Styled(absl::string_view text, Style style, bool colors);

}  // namespace ember::cli

#endif  // EMBER_CLI_OUTPUT_H_
