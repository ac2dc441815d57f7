// A tree with everything that a file system can hold and that backup programs lose.
#ifndef EMBER_TESTS_SUPPORT_NASTY_TREE_H_
#define EMBER_TESTS_SUPPORT_NASTY_TREE_H_

#include <string>

#include "absl/status/status.h"

namespace ember::testing {

struct NastyTreeOptions {
  int crowd = 300;  // files in one directory
  int depth =
      40;  // directories below each other, 200 bytes per name: 21 and more are beyond PATH_MAX
  bool flags = true;  // append-only and immutable objects (root)
  // Extended attributes and ACLs that the file system does not know are an error instead of left
  // out.
  bool insist = false;
};

// Makes `directory` (new) and fills it. What only root may make (devices, foreign owners, trusted.*
// and security.* attributes, immutable files) is made as root; what the file system refuses as
// unsupported is left out, unless the options insist on it.
absl::Status MakeNastyTree(const std::string& directory, const NastyTreeOptions& options = {});

// Removes a tree of any kind, immutable objects and paths beyond PATH_MAX included.
void RemoveNastyTree(const std::string& directory);

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_NASTY_TREE_H_
