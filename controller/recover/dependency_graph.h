// Who needs whom. Pure.
#ifndef EMBER_CONTROLLER_RECOVER_DEPENDENCY_GRAPH_H_
#define EMBER_CONTROLLER_RECOVER_DEPENDENCY_GRAPH_H_

#include <map>
#include <string>
#include <vector>

#include "ember/v1/estate.pb.h"

namespace ember::controller {

// Built from an estate whose references are valid and free of cycles (the parser saw to that).
// Immutable.
class DependencyGraph {
 public:
  explicit DependencyGraph(const v1::Estate& estate);
  // What `workload` depends on directly.
  const std::vector<std::string>& DependenciesOf(const std::string& workload) const;
  // Everything that depends on `workload`, directly or not, nearest first.
  std::vector<std::string> DependantsOf(const std::string& workload) const;
  // `workloads` in waves: each wave depends only on earlier ones (or on workloads outside the set).
  // Within a wave: what is critical, or has something critical behind it, first; then the longest
  // chain behind it; then the order of the estate file. Linear in workloads and arrows.
  std::vector<std::vector<std::string>> Waves(const std::vector<std::string>& workloads) const;

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::vector<std::string>> needs_;
  std::map<std::string, int> position_;  // in `order_`
  std::vector<int> rank_;                // by position
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_DEPENDENCY_GRAPH_H_
