#include "cli/output.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t WidestLine(const std::string& text) {
  size_t widest = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n'))
    widest = std::max(widest, DisplayWidth(line));
  return widest;
}

TEST(Escape, LeavesOrdinaryTextInAnyScriptAlone) {
  EXPECT_EQ(Escape("db-1 été 東京 🔥"), "db-1 été 東京 🔥");
}

TEST(Escape, NeutralisesTerminalSequences) {
  EXPECT_EQ(Escape("a\x1b[31mred"), "a\\x1b[31mred");
  EXPECT_EQ(Escape("a\r\nb\tc\x7f"), "a\\x0d\\nb\\tc\\x7f");
  EXPECT_EQ(Escape("\xc2\x9b"
                   "31m"),
            "\\x9b31m");  // CSI as one C1 character
}

TEST(Escape, ShowsBidirectionalOverridesAndInvisibleMarks) {
  EXPECT_EQ(Escape("a\u202eb"), "a\\u{202e}b");
  EXPECT_EQ(Escape("\ufeff"), "\\u{feff}");
}

TEST(Escape, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(Escape("\xff"), "\\xff");
  EXPECT_EQ(Escape("\xc3"), "\\xc3");                    // cut short
  EXPECT_EQ(Escape("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(Escape("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
}

TEST(Table, AlignsColumnsAndMarksEmptyCells) {
  Table table({{"NAME"}, {"SIZE", true}});
  table.Add({"a", "1 B"});
  table.Add({"longer", ""});
  EXPECT_EQ(table.Format(false), "NAME    SIZE\na        1 B\nlonger     -\n");
}

TEST(Table, NeverExceedsTheWidthAndShortensIdsLast) {
  const std::string id(84, 'i');
  Table table({{"ID", false, true}, {"NAME"}, {"REASON"}});
  table.Add({id, std::string(300, 'n'), "東京東京東京東京東京東京"});
  const std::string text = table.Format(false);
  EXPECT_LE(WidestLine(text), kTableColumns);
  EXPECT_THAT(text, HasSubstr(id));
  EXPECT_THAT(text, HasSubstr("…"));
}

TEST(Table, FitsEvenWhenEveryCellIsHuge) {
  std::vector<Column> columns;
  std::vector<Cell> cells;
  for (int i = 0; i < 9; ++i) {
    columns.push_back({"TITLE", i % 2 == 0, true});
    cells.push_back(std::string(500, 'x'));
  }
  Table table(columns);
  table.Add(cells);
  EXPECT_LE(WidestLine(table.Format(false)), kTableColumns);
}

TEST(Table, EscapesNames) {
  Table table({{"NAME"}});
  table.Add({"evil\x1b]0;title\x07\nsecond line"});
  const std::string text = table.Format(true);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(Table, ColorsOnlyWhenAskedAndWithoutChangingTheWidth) {
  Table table({{"STATE"}, {"NODE"}});
  table.Add({Cell("DEAD", Style::kBad), "n1"});
  EXPECT_EQ(table.Format(false), "STATE  NODE\nDEAD   n1\n");
  EXPECT_EQ(table.Format(true), "STATE  NODE\n\x1b[31mDEAD \x1b[0m  n1\n");
}

TEST(Fields, AlignsAndLeavesEmptyOnesOut) {
  EXPECT_EQ(FormatFields({{"a", "1"}, {"gone", ""}, {"long name", "2\x1b"}}),
            "a:         1\nlong name: 2\\x1b\n");
}

}  // namespace
}  // namespace ember::cli
