#include <signal.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_client.h"
#include "node-agent/service/guard_record.h"
#include "node-agent/service/journal.h"
#include "node-agent/service/service_kinds.h"
#include "node-agent/service/systemd_unit.h"

namespace ember::agent {
namespace {

// A guard that fences ends within this time and the margin of guard_client.
constexpr absl::Duration kFencePatience = absl::Seconds(kSelfFenceSeconds);

class SystemdService : public Service {
 public:
  SystemdService(const v1::ServiceSpec& spec, const ServiceOptions& options)
      : spec_(spec), options_(options), unit_(spec.systemd()) {}

  absl::Status Start() override {
    return Annotate(StartGuarded(), absl::StrCat("start ", options_.workload));
  }

  absl::Status Stop() override {
    const absl::Status stopped = unit_.Stop(absl::Seconds(kSystemdJobSeconds));
    // A unit that systemd does not know does not run.
    if (absl::IsNotFound(stopped)) return absl::OkStatus();
    return Annotate(stopped, absl::StrCat("stop ", options_.workload));
  }

  absl::StatusOr<ServiceStatus> Status() override {
    EMBER_ASSIGN_OR_RETURN(const UnitState state, unit_.State());
    ServiceStatus status;
    status.running = state.running;
    status.has_exit = state.has_exit;
    status.exit_status = state.exit_status;
    status.pid = state.main_pid;
    status.log_tail = JournalTail(unit_.name());
    return status;
  }

  absl::Status SetDeadline(absl::Duration monotonic_deadline) override {
    absl::MutexLock lock(&guard_mu_);
    EMBER_RETURN_IF_ERROR(MakeDirectories(options_.state_directory));
    EMBER_RETURN_IF_ERROR(WriteDeadline(options_.state_directory, monotonic_deadline));
    if (monotonic_deadline == absl::InfiniteDuration()) return StopGuard(options_, kFencePatience);
    // One that has passed: a living guard sees to it; without one, do it here.
    if (monotonic_deadline > SystemClock()->Monotonic())
      return EnsureGuard(spec_, options_, kFencePatience);
    absl::Status stopped = unit_.Stop(absl::Seconds(kSelfFenceKillSeconds));
    if (!stopped.ok() && unit_.Kill(SIGKILL).ok())
      stopped = unit_.Stop(absl::Seconds(kGuardStopMarginSeconds));
    return absl::IsNotFound(stopped) ? absl::OkStatus() : stopped;
  }

 private:
  absl::Status StartGuarded() {
    EMBER_RETURN_IF_ERROR(GuardDeadline());
    return unit_.Start(absl::Seconds(kSystemdJobSeconds));
  }

  // Refuses a deadline that has passed.
  absl::Status GuardDeadline() {
    absl::MutexLock lock(&guard_mu_);
    EMBER_ASSIGN_OR_RETURN(const absl::Duration deadline, ReadDeadline(options_.state_directory));
    if (deadline == absl::InfiniteDuration()) return absl::OkStatus();
    return EnsureGuard(spec_, options_, kFencePatience);
  }

  const v1::ServiceSpec spec_;
  const ServiceOptions options_;
  const SystemdUnit unit_;
  absl::Mutex
      guard_mu_;  // the deadline and its guard; jobs of the unit are put in order by systemd
};

}  // namespace

absl::StatusOr<std::unique_ptr<Service>> OpenSystemdService(const v1::ServiceSpec& spec,
                                                            const ServiceOptions& options) {
  if (spec.systemd().empty() || spec.systemd()[0] == '-' ||
      spec.systemd().find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("workload ", options.workload, ": service.systemd: not the name of a unit"));
  }
  EMBER_RETURN_IF_ERROR(Annotate(CheckSystemd(), absl::StrCat("workload ", options.workload)));
  return std::make_unique<SystemdService>(spec, options);
}

}  // namespace ember::agent
