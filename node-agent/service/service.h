// What runs. One file per kind; all pass tests/contract/service.
#ifndef EMBER_NODE_AGENT_SERVICE_SERVICE_H_
#define EMBER_NODE_AGENT_SERVICE_SERVICE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "ember/v1/estate.pb.h"

namespace ember::agent {

struct ServiceStatus {
  bool running = false;
  bool has_exit = false;  // it ran and ended
  int exit_status = 0;    // code, or 128 + signal
  int64_t pid = 0;
  std::vector<std::string> log_tail;  // last kLogTailLines of its output
};

// One workload's service. Survives the agent: a new agent process finds it running. Safe for concurrent use.
class Service {
 public:
  virtual ~Service() = default;
  // Started when OK (not necessarily healthy). Already running: OK. Idempotent. FAILED_PRECONDITION when it does not start
  // (with the reason), and while its deadline lies in the past.
  virtual absl::Status Start() = 0;
  // Not running any more when OK: TERM, then KILL after its stop time-out. Idempotent.
  virtual absl::Status Stop() = 0;
  virtual absl::StatusOr<ServiceStatus> Status() = 0;
  // For a self-fencing workload: it must stop by itself when Monotonic() passes `deadline`, even if this agent process
  // is dead. InfiniteFuture removes the deadline.
  virtual absl::Status SetDeadline(absl::Duration monotonic_deadline) = 0;
};

struct ServiceOptions {
  std::string workload;
  std::string state_directory;  // this workload's, private to the service: pid, status, output log
  std::string agent_binary;     // /proc/self/exe: run as `ember-agent guard …` for exec services
  Clock* clock = nullptr;
};

// INVALID_ARGUMENT for a kind this agent does not know; UNAVAILABLE when the kind cannot work here (no systemd).
absl::StatusOr<std::unique_ptr<Service>> OpenService(const v1::ServiceSpec& spec, const ServiceOptions& options);

// The body of `ember-agent guard STATE_DIRECTORY`: starts the command described there, writes what becomes of it, stops
// it on SIGTERM or when its deadline passes. Returns the exit code of the process.
int RunGuard(const std::string& state_directory);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_SERVICE_H_
