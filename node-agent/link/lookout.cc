#include "node-agent/link/lookout.h"

#include <utility>

#include "common/base/limits.h"

namespace ember::agent {

Lookout::Lookout(Clock* clock, Reach reach) : clock_(clock), reach_(std::move(reach)) {}

Lookout::~Lookout() { Stop(); }

void Lookout::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void Lookout::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (!stop_.HasBeenNotified()) stop_.Notify();
  }
  if (thread_.joinable()) thread_.join();
}

void Lookout::Want(std::set<std::string> nodes) {
  absl::MutexLock lock(&mu_);
  wanted_ = std::move(nodes);
  std::erase_if(sights_, [this](const auto& sight) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return !wanted_.contains(sight.first);
  });
}

std::vector<v1::PeerSight> Lookout::Sights() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::PeerSight> sights;
  for (const auto& [node, sight] : sights_) sights.push_back(sight);
  return sights;
}

void Lookout::Loop() {
  const auto asked = [this]()
                         ABSL_SHARED_LOCKS_REQUIRED(mu_) { return stopping_ || !wanted_.empty(); };
  while (true) {
    std::set<std::string> nodes;
    {
      absl::MutexLock lock(&mu_, absl::Condition(&asked));
      if (stopping_) return;
      nodes = wanted_;
    }
    const std::map<std::string, absl::Status> reached =
        reach_(nodes, absl::Seconds(kLookoutSeconds));
    {
      absl::MutexLock lock(&mu_);
      for (const auto& [node, status] : reached) {
        if (!wanted_.contains(node)) continue;
        v1::PeerSight& sight = sights_[node];
        sight.set_node(node);
        sight.set_answers(status.ok());
        sight.set_problem(std::string(status.message()));
      }
    }
    if (clock_->Sleep(absl::Seconds(kLookoutEverySeconds), stop_)) return;
  }
}

}  // namespace ember::agent
