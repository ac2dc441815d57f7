#include "node-agent/service/log_tail.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(LogTail, KeepsTheLastLines) {
  std::string text;
  for (int i = 1; i <= 100; ++i) absl::StrAppend(&text, "line ", i, "\n");
  const std::vector<std::string> lines = LastLines(text);
  ASSERT_THAT(lines, SizeIs(kLogTailLines));
  EXPECT_EQ(lines.front(), absl::StrCat("line ", 101 - kLogTailLines));
  EXPECT_EQ(lines.back(), "line 100");
  EXPECT_THAT(LastLines("one\r\n\n\ntwo"), ElementsAre("one", "two"));
  EXPECT_THAT(LastLines(""), IsEmpty());
}

TEST(LogTail, CutsLongLinesBetweenCharacters) {
  EXPECT_THAT(PrintableLine(std::string(5000, 'x')), SizeIs(kLogLineBytesMax));
  std::string euros = "a";
  for (int i = 0; i < 1000; ++i) euros += "€";
  const std::string cut = PrintableLine(euros);
  EXPECT_LE(cut.size(), kLogLineBytesMax);
  EXPECT_EQ((cut.size() - 1) % 3, 0u);
}

TEST(LogTail, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(PrintableLine("a\tb"), "a b");
  EXPECT_EQ(PrintableLine("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  EXPECT_EQ(PrintableLine("\x7f"), "\\x7f");
  EXPECT_EQ(PrintableLine("\xC2\x9B"
                          "31m"),
            "\\xc2\\x9b31m");  // CSI as one C1 character
  EXPECT_EQ(PrintableLine(absl::string_view("\0", 1)), "\\x00");
}

TEST(LogTail, ShowsWhatIsNotUtf8) {
  EXPECT_EQ(PrintableLine("état €  \xF0\x9F\x94\xA5"), "état €  \xF0\x9F\x94\xA5");
  EXPECT_EQ(PrintableLine("\xff"), "\\xff");
  EXPECT_EQ(PrintableLine("\xC3"), "\\xc3");                    // cut off
  EXPECT_EQ(PrintableLine("\xC0\xAF"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(PrintableLine("\xED\xA0\x80"), "\\xed\\xa0\\x80");  // a surrogate
}

TEST(LogTail, OfNothingIsEmpty) { EXPECT_THAT(OutputTail("/nonexistent"), IsEmpty()); }

}  // namespace
}  // namespace ember::agent
