#include "controller/recover/dependency_graph.h"

#include <algorithm>
#include <set>
#include <tuple>

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
    position_[spec.name()] = static_cast<int>(order_.size());
    order_.push_back(spec.name());
    needs_[spec.name()].assign(spec.depends_on().begin(), spec.depends_on().end());
    rank_.push_back(Rank(spec));
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
  const size_t count = order_.size();
  std::vector<bool> wanted(count, false);
  for (const std::string& name : workloads) {
    if (const auto it = position_.find(name); it != position_.end()) wanted[it->second] = true;
  }
  std::vector<std::vector<int>> needs(count);
  std::vector<std::vector<int>> needed_by(count);
  std::vector<int> waits_for(count, 0);
  for (size_t i = 0; i < count; ++i) {
    if (!wanted[i]) continue;
    for (const std::string& name : needs_.at(order_[i])) {
      const auto need = position_.find(name);
      if (need == position_.end() || !wanted[need->second]) continue;
      needs[i].push_back(need->second);
      needed_by[need->second].push_back(static_cast<int>(i));
      ++waits_for[i];
    }
  }
  // Kahn, A. B. "Topological sorting of large networks", 1962.
  std::vector<int> sorted;
  std::vector<size_t> wave_of(count, 0);
  for (size_t i = 0; i < count; ++i) {
    if (wanted[i] && waits_for[i] == 0) sorted.push_back(static_cast<int>(i));
  }
  for (size_t next = 0; next < sorted.size(); ++next) {
    for (const int other : needed_by[sorted[next]]) {
      wave_of[other] = std::max(wave_of[other], wave_of[sorted[next]] + 1);
      if (--waits_for[other] == 0) sorted.push_back(other);
    }
  }
  // What others wait for is as critical as they are, and the longer the chain behind it the sooner.
  std::vector<int> rank = rank_;
  std::vector<int> behind(count, 0);
  for (auto it = sorted.rbegin(); it != sorted.rend(); ++it) {
    for (const int need : needs[*it]) {
      rank[need] = std::min(rank[need], rank[*it]);
      behind[need] = std::max(behind[need], behind[*it] + 1);
    }
  }
  std::sort(sorted.begin(), sorted.end(), [&](int a, int b) {
    return std::tuple(wave_of[a], rank[a], -behind[a], a) <
           std::tuple(wave_of[b], rank[b], -behind[b], b);
  });
  std::vector<std::vector<std::string>> waves;
  for (const int i : sorted) {
    if (waves.size() <= wave_of[i]) waves.emplace_back();
    waves.back().push_back(order_[i]);
  }
  return waves;
}

}  // namespace ember::controller
