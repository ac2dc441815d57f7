// The agent's state directory: what is where, and who may use it.
#ifndef EMBER_NODE_AGENT_STATE_H_
#define EMBER_NODE_AGENT_STATE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// Paths only; no I/O but where said.
//
//   lock                     held by the one running agent
//   identity/                key.pem, cert.pem, ca.pem
//   em                       HOST:PORT of the controller, from the token
//   config.pb                the last NodeConfig
//   epochs.pb                the highest epochs seen
//   orders/                  the ledger
//   workloads/NAME/          record.pb; service/ is the service's own
//   cache/WORKLOAD@VAULT     what the last backup read
//   events                   the spool
//   messages/                the log of messages that the controller has not yet
class StateDirectory {
 public:
  explicit StateDirectory(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string identity() const { return JoinPath(root_, "identity"); }
  std::string orders() const { return JoinPath(root_, "orders"); }
  std::string workloads() const { return JoinPath(root_, "workloads"); }
  std::string events() const { return JoinPath(root_, "events"); }
  std::string messages() const { return JoinPath(root_, "messages"); }
  std::string epochs() const { return JoinPath(root_, "epochs.pb"); }
  std::string cache() const { return JoinPath(root_, "cache"); }

  // Creates it (0700). UNAVAILABLE: another agent runs on it.
  absl::StatusOr<Fd> Lock() const;

  // FAILED_PRECONDITION: this machine never joined.
  absl::StatusOr<std::string> LoadEm() const;
  absl::Status SaveEm(absl::string_view address) const;

  // An empty config (version 0) when there is none. DATA_LOSS when it does not parse.
  absl::StatusOr<v1::NodeConfig> LoadConfig() const;
  absl::Status SaveConfig(const v1::NodeConfig& config) const;

 private:
  std::string root_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_STATE_H_
