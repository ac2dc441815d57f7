// How fast a node may send to vaults: the estate's `bandwidth` rules.
#ifndef EMBER_NODE_AGENT_LINK_UPLINK_H_
#define EMBER_NODE_AGENT_LINK_UPLINK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/estate.pb.h"

namespace ember::agent {

// Bytes per second of `node` at this minute of its day; 0: unlimited. The lowest of the rules that
// apply.
int64_t RateAt(const std::vector<v1::BandwidthRule>& rules, const std::string& node,
               int minute_of_day);

// Safe for concurrent use.
class Uplink {
 public:
  Uplink(Clock* clock, absl::TimeZone zone) : clock_(clock), zone_(zone) {}

  void Set(const v1::Settings& settings);
  // For how long `node` must not send after these bytes, all that it sends together. Whoever asks
  // waits for that long and then sends them.
  absl::Duration Pace(const std::string& node, int64_t bytes);

 private:
  Clock* const clock_;
  const absl::TimeZone zone_;
  absl::Mutex mu_;
  std::vector<v1::BandwidthRule> rules_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, absl::Duration> free_at_ ABSL_GUARDED_BY(mu_);  // by node, monotonic
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_UPLINK_H_
