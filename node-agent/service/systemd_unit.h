// One unit of systemd, over its bus (org.freedesktop.systemd1(5)). The only user of sd-bus.
#ifndef EMBER_NODE_AGENT_SERVICE_SYSTEMD_UNIT_H_
#define EMBER_NODE_AGENT_SERVICE_SYSTEMD_UNIT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ember::agent {

struct UnitState {
  bool running = false;  // something of it may live: anything but inactive, failed, or waiting to
                         // be started again
  bool stopped = false;  // inactive or failed: systemd will not start it by itself
  bool has_exit = false;
  int exit_status = 0;  // code, or 128 + signal
  int64_t main_pid = 0;
  std::string description;  // "failed (failed)": ActiveState and SubState
};

// Every call opens a connection of its own: to the system bus as root, else to the user's. Safe for
// concurrent use. UNAVAILABLE when systemd does not answer there; NOT_FOUND when it knows no such
// unit.
class SystemdUnit {
 public:
  // A name without a suffix is a .service.
  explicit SystemdUnit(std::string name);
  const std::string& name() const { return name_; }

  // OK when the job to start it was done within `limit`; FAILED_PRECONDITION with systemd's word
  // for it when it was not.
  absl::Status Start(absl::Duration limit) const;
  // OK when it is stopped. DEADLINE_EXCEEDED when `limit` passes first; systemd goes on with it.
  absl::Status Stop(absl::Duration limit) const;
  // To all its processes.
  absl::Status Kill(int signal) const;
  absl::StatusOr<UnitState> State() const;

 private:
  std::string name_;
};

// OK when systemd answers.
absl::Status CheckSystemd();

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_SYSTEMD_UNIT_H_
