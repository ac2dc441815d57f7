// The file a command's output goes to, bounded.
#ifndef EMBER_NODE_AGENT_SERVICE_OUTPUT_LOG_H_
#define EMBER_NODE_AGENT_SERVICE_OUTPUT_LOG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"

namespace ember::agent {

// For one thread.
class OutputLog {
 public:
  // Appends to what an earlier run left.
  static absl::StatusOr<OutputLog> Open(const std::string& state_directory);
  // At kServiceLogBytesMax the file becomes the older one and a new one starts. What cannot be
  // written (a full disk) is dropped: a workload must not stop because nobody can keep its log.
  void Append(absl::string_view data);

 private:
  explicit OutputLog(std::string state_directory) : state_directory_(std::move(state_directory)) {}
  absl::Status Reopen();

  std::string state_directory_;
  Fd file_;
  size_t size_bytes_ = 0;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_OUTPUT_LOG_H_
