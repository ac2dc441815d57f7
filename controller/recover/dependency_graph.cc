#include "controller/recover/dependency_graph.h"

#include <algorithm>
#include <set>

namespace ember::controller {
namespace {

int Rank(const v1::WorkloadSpec& spec) {
  switch (spec.criticality()) {
    case v1::Criticality::CRITICAL: return 0;
    case v1::Criticality::IMPORTANT: return 1;
    default: return 2;
  }
}

}  // namespace

DependencyGraph::DependencyGraph(const v1::Estate& estate) {
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    order_.push_back(spec.name());
    needs_[spec.name()].assign(spec.depends_on().begin(), spec.depends_on().end());
    rank_[spec.name()] = Rank(spec);
  }
}

const std::vector<std::string>& DependencyGraph::DependenciesOf(const std::string& workload) const {
  static const std::vector<std::string> kNone;
  const auto it = needs_.find(workload);
  return it == needs_.end() ? kNone : it->second;
}

std::vector<std::string> DependencyGraph::DependantsOf(const std::string& workload) const {
  std::vector<std::string> found;
  std::set<std::string> seen = {workload};
  for (bool grew = true; grew;) {
    grew = false;
    for (const std::string& name : order_) {
      const std::vector<std::string>& needs = needs_.at(name);
      const bool touches =
          std::any_of(needs.begin(), needs.end(), [&](const auto& n) { return seen.count(n) > 0; });
      if (!touches || !seen.insert(name).second) continue;
      found.push_back(name);
      grew = true;
    }
  }
  return found;
}

std::vector<std::vector<std::string>> DependencyGraph::Waves(
    const std::vector<std::string>& workloads) const {
  std::set<std::string> left(workloads.begin(), workloads.end());
  std::vector<std::vector<std::string>> waves;
  while (!left.empty()) {
    std::vector<std::string> wave;
    for (const std::string& name : order_) {
      const std::vector<std::string>& needs = DependenciesOf(name);
      const bool blocked =
          std::any_of(needs.begin(), needs.end(), [&](const auto& n) { return left.count(n) > 0; });
      if (left.count(name) > 0 && !blocked) wave.push_back(name);
    }
    if (wave.empty()) break;  // names outside the estate: nothing to order
    std::stable_sort(wave.begin(), wave.end(),
                     [this](const auto& a, const auto& b) { return rank_.at(a) < rank_.at(b); });
    for (const std::string& name : wave) left.erase(name);
    waves.push_back(std::move(wave));
  }
  return waves;
}

}  // namespace ember::controller
