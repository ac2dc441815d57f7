// Which backups the rules of `keep` let go: values in, values out.
//
// A policy judges what its own schedule made and what belongs to no policy of the workload (made by
// hand, by a former policy). A backup stays as soon as one rule of one policy keeps it. Periods are
// those of the policy's zone, weeks begin on Monday (ISO 8601); the newest good backup of a period
// stands for it, and times are the vault's.
#ifndef EMBER_CONTROLLER_PROTECT_RETENTION_H_
#define EMBER_CONTROLLER_PROTECT_RETENTION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// A stored backup of one workload, as the rules see it.
struct KeepCandidate {
  std::string id;
  absl::Time received;
  std::string policy;  // whose schedule asked for it
  bool good = false;   // complete, and read back since anything was wrong with it
  std::string stays;   // why it cannot go, whatever the rules say; empty: it can
};

// A policy of the workload.
struct KeepRule {
  std::string policy;
  std::optional<v1::Keep> keep;  // none: it keeps everything
  absl::TimeZone zone;
};

struct KeepVerdict {
  bool keep = false;
  std::string reason;  // for people
};

// Of each of `newest_first`, in that order. What is not good fills no place: it stays while nothing
// good is newer, while it is young enough for `within`, and where its period has nothing good.
// Whatever the rules say, the newest good ones stay, as many as the largest `min_verified`, at
// least one; and everything stays while nothing is good.
std::vector<KeepVerdict> JudgeRetention(const std::vector<KeepCandidate>& newest_first,
                                        const std::vector<KeepRule>& rules, absl::Time now);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_RETENTION_H_
