#include "node-agent/orders/syntax_check.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::agent {
namespace {

TEST(SyntaxCheck, TellsJsonFromWhatIsNone) {
  for (const char* good : {"{}", "[1, 2]", "{\"a\": null} // why", "\"text\""}) {
    EXPECT_OK(CheckJson(good)) << good;
  }
  for (const char* bad : {"", "{", "{\"a\": }", "{} {}", "\xff"}) {
    EXPECT_FALSE(CheckJson(bad).ok()) << bad;
  }
}

TEST(SyntaxCheck, TellsYamlFromWhatIsNoneAndNamesTheLine) {
  for (const char* good : {"", "a: 1\n", "---\na: [1, 2]\n---\nb: &x 1\nc: *x\n", "- 1\n- 2\n"}) {
    EXPECT_OK(CheckYaml(good)) << good;
  }
  for (const char* bad : {"a: [1, 2\n", "a: b: c\n"}) {
    EXPECT_FALSE(CheckYaml(bad).ok()) << bad;
  }
  EXPECT_NE(CheckYaml("a: 1\nb: b: c\n").message().find("line 2"), absl::string_view::npos);
}

TEST(SyntaxCheck, DepthWithoutEndIsAnErrorAndNoCrash) {
  EXPECT_FALSE(CheckJson(std::string(1 << 20, '[')).ok());
  EXPECT_FALSE(CheckYaml(std::string(1 << 20, '[')).ok());
}

}  // namespace
}  // namespace ember::agent
