// Are two trees the same to the last bit? Shares no code with what it judges.
#ifndef EMBER_TESTS_SUPPORT_TREE_COMPARE_H_
#define EMBER_TESTS_SUPPORT_TREE_COMPARE_H_

#include <string>
#include <vector>

namespace ember::testing {

struct TreeCompareOptions {
  bool owner = true;   // uid and gid
  bool atime = false;  // reading a tree may have changed them before
};

// One line per difference between the trees (or files) `a` and `b`; empty when there is none.
// Compared are types, names, content, holes, modes, owners, mtimes to the nanosecond, link targets,
// devices, extended attributes, inode flags and which names are links of one inode. Of Ember's own
// leftovers nothing is compared. Access times of what is read do not change as root.
std::vector<std::string> CompareTrees(const std::string& a, const std::string& b,
                                      const TreeCompareOptions& options = {});

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_TREE_COMPARE_H_
