#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_client.h"
#include "node-agent/service/guard_record.h"
#include "node-agent/service/log_tail.h"
#include "node-agent/service/service_kinds.h"

namespace ember::agent {
namespace {

bool HasNul(absl::string_view text) { return absl::StrContains(text, absl::string_view("\0", 1)); }

absl::Status Validate(const v1::ExecService& spec) {
  if (spec.command().empty() || spec.command(0).empty()) {
    return absl::InvalidArgumentError("service.exec.command: empty");
  }
  for (const std::string& argument : spec.command()) {
    if (HasNul(argument))
      return absl::InvalidArgumentError("service.exec.command: holds a NUL byte");
  }
  for (const auto& [name, value] : spec.environment()) {
    if (name.empty() || absl::StrContains(name, "=") || HasNul(name) || HasNul(value)) {
      return absl::InvalidArgumentError(
          "service.exec.environment: a name is empty or holds '=' or NUL");
    }
  }
  if (!spec.directory().empty() && (spec.directory()[0] != '/' || HasNul(spec.directory()))) {
    return absl::InvalidArgumentError("service.exec.directory: not an absolute path");
  }
  if (HasNul(spec.user())) return absl::InvalidArgumentError("service.exec.user: holds a NUL byte");
  if (spec.stop_timeout_seconds() < 0 || spec.stop_timeout_seconds() > kStopTimeoutSecondsMax) {
    return absl::InvalidArgumentError(absl::StrCat("service.exec.stop_timeout: not between 0 and ",
                                                   kStopTimeoutSecondsMax, " seconds"));
  }
  return absl::OkStatus();
}

class ExecService : public Service {
 public:
  ExecService(const v1::ServiceSpec& spec, const ServiceOptions& options)
      : spec_(spec), options_(options) {}

  absl::Status Start() override {
    absl::MutexLock lock(&mu_);
    return Annotate(EnsureGuard(spec_, options_, StopTimeout()),
                    absl::StrCat("start ", options_.workload));
  }

  absl::Status Stop() override {
    absl::MutexLock lock(&mu_);
    return Annotate(StopGuard(options_, StopTimeout()), absl::StrCat("stop ", options_.workload));
  }

  absl::StatusOr<ServiceStatus> Status() override {
    ServiceStatus status;
    const absl::StatusOr<GuardRecord> record = ReadGuardRecord(options_.state_directory);
    if (absl::IsNotFound(record.status())) return status;
    EMBER_RETURN_IF_ERROR(record.status());
    EMBER_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
    status.log_tail = OutputTail(options_.state_directory);
    if (!record->reason.empty()) status.log_tail.push_back(PrintableLine(record->reason));
    if (!IsActive(record->state)) {
      status.has_exit = true;
      status.exit_status = record->exit_status;
    } else if (IsAlive(record->guard) && boot_id == record->boot_id) {
      status.running = true;  // while stopping as well: something of it may still live
      status.pid = record->command.pid;
    } else if (boot_id == record->boot_id) {
      return AfterLostGuard(std::move(status));
    }
    return status;
  }

  // Never waits for a Start or Stop: whoever renews a lease must not be late for it.
  absl::Status SetDeadline(absl::Duration monotonic_deadline) override {
    absl::MutexLock lock(&deadline_mu_);
    EMBER_RETURN_IF_ERROR(MakeDirectories(options_.state_directory));
    return WriteDeadline(options_.state_directory, monotonic_deadline);
  }

 private:
  // The record says it runs, its guard is gone. Most likely the guard ended between our two looks;
  // else it was killed, and its command with it.
  absl::StatusOr<ServiceStatus> AfterLostGuard(ServiceStatus status) {
    EMBER_ASSIGN_OR_RETURN(const GuardRecord record, ReadGuardRecord(options_.state_directory));
    status.has_exit = true;
    status.exit_status = IsActive(record.state) ? 128 + SIGKILL : record.exit_status;
    return status;
  }

  absl::Duration StopTimeout() const {
    const int64_t seconds = spec_.exec().stop_timeout_seconds();
    return absl::Seconds(seconds > 0 ? seconds : kStopTimeoutSeconds);
  }

  const v1::ServiceSpec spec_;
  const ServiceOptions options_;
  absl::Mutex mu_;           // one of Start, Stop at a time
  absl::Mutex deadline_mu_;  // one writer of the deadline at a time
};

}  // namespace

absl::StatusOr<std::unique_ptr<Service>> OpenExecService(const v1::ServiceSpec& spec,
                                                         const ServiceOptions& options) {
  EMBER_RETURN_IF_ERROR(
      Annotate(Validate(spec.exec()), absl::StrCat("workload ", options.workload)));
  return std::make_unique<ExecService>(spec, options);
}

}  // namespace ember::agent
