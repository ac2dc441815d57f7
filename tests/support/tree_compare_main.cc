// ember-tree-compare A B: prints what differs; 0 the same, 1 different.
#include <cstdio>

#include "tests/support/tree_compare.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: ember-tree-compare A B\n");
    return 2;
  }
  const auto lines = ember::testing::CompareTrees(argv[1], argv[2]);
  for (const std::string& line : lines) printf("%s\n", line.c_str());
  return lines.empty() ? 0 : 1;
}
