// What outlives the agent about one workload: workloads/NAME/record.pb.
#ifndef EMBER_NODE_AGENT_SUPERVISE_RECORD_H_
#define EMBER_NODE_AGENT_SUPERVISE_RECORD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ember/record/v1/agent_state.pb.h"

namespace ember::agent {

// Where the service of `workload` keeps its own state.
std::string ServiceDirectory(const std::string& directory, const std::string& workload);

absl::Status SaveRecord(const std::string& directory, const record::v1::AgentWorkload& record);
// All of them. A damaged one is logged and left out: the next configuration writes it anew, and the
// service, if it runs, is found running.
absl::StatusOr<std::vector<record::v1::AgentWorkload>> LoadRecords(const std::string& directory);
absl::Status RemoveRecord(const std::string& directory, const std::string& workload);

// `next` as it is kept after `known` (empty: nothing is known). A changed run, epoch or service
// definition, and a return after retirement, overrule what an order had stopped; an unchanged one
// does not. HOLD is always stopped.
record::v1::AgentWorkload Reassign(const record::v1::AgentWorkload& known,
                                   const v1::Assignment& next);
// Do both describe the same process? Restart limits do not count.
bool SameService(const v1::ServiceSpec& a, const v1::ServiceSpec& b);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_RECORD_H_
