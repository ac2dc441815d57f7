// ember-nasty-tree DIR [FILES]: makes DIR, with FILES files in one of its directories.
// ember-nasty-tree --remove DIR.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/nasty_tree.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--remove") {
    ember::testing::RemoveNastyTree(argv[2]);
    return 0;
  }
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: ember-nasty-tree DIR [FILES]\n       ember-nasty-tree --remove DIR\n");
    return 2;
  }
  ember::testing::NastyTreeOptions options;
  // Who compares trees to the last bit must not pass because nothing was there to compare.
  options.insist = true;
  if (argc == 3) options.crowd = atoi(argv[2]);
  const absl::Status made = ember::testing::MakeNastyTree(argv[1], options);
  if (!made.ok()) fprintf(stderr, "%s\n", std::string(made.message()).c_str());
  return made.ok() ? 0 : 1;
}
