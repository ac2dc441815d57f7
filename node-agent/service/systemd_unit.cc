#include "node-agent/service/systemd_unit.h"

#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManagerInterface[] = "org.freedesktop.systemd1.Manager";
constexpr char kUnitInterface[] = "org.freedesktop.systemd1.Unit";
constexpr char kServiceInterface[] = "org.freedesktop.systemd1.Service";

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
using Bus = std::unique_ptr<sd_bus, BusCloser>;

struct MessageReleaser {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageReleaser>;

struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  ~BusError() { sd_bus_error_free(&error); }
};

absl::StatusOr<Bus> OpenBus() {
  sd_bus* raw = nullptr;
  const int result = geteuid() == 0 ? sd_bus_open_system(&raw) : sd_bus_open_user(&raw);
  if (result < 0) {
    return WithHint(
        absl::UnavailableError(absl::StrCat("systemd: no bus on this node: ",
                                            ErrnoToStatus(-result, "connect").message())),
        "use service.exec on a node without systemd");
  }
  Bus bus(raw);
  sd_bus_set_method_call_timeout(bus.get(), kSystemdCallSeconds * 1000000);
  return bus;
}

absl::Status ToStatus(int result, const BusError& error, absl::string_view what) {
  const absl::string_view name = error.error.name == nullptr ? "" : error.error.name;
  const std::string message =
      absl::StrCat(what, ": ",
                   error.error.message != nullptr ? error.error.message
                                                  : ErrnoToStatus(-result, "systemd").message());
  if (absl::EndsWith(name, ".NoSuchUnit") || absl::EndsWith(name, ".LoadFailed")) {
    return absl::NotFoundError(message);
  }
  if (absl::EndsWith(name, ".AccessDenied") ||
      absl::EndsWith(name, "InteractiveAuthorizationRequired")) {
    return WithHint(absl::PermissionDeniedError(message), "run ember-agent as root");
  }
  if (absl::StartsWith(name, "org.freedesktop.systemd1."))
    return absl::FailedPreconditionError(message);
  return absl::UnavailableError(message);
}

absl::StatusOr<std::string> StringProperty(sd_bus* bus, const char* path, const char* interface,
                                           const char* name) {
  BusError error;
  char* value = nullptr;
  const int result =
      sd_bus_get_property_string(bus, kSystemd, path, interface, name, &error.error, &value);
  if (result < 0) return ToStatus(result, error, name);
  std::string text(value);
  free(value);
  return text;
}

// 0 when the unit has no such property: one that is not a .service has no main process.
template <typename T>
T NumberProperty(sd_bus* bus, const char* path, const char* name, char type) {
  BusError error;
  T value = 0;
  const int result = sd_bus_get_property_trivial(bus, kSystemd, path, kServiceInterface, name,
                                                 &error.error, type, &value);
  return result < 0 ? T{0} : value;
}

// A job of ours and how it ended, from the JobRemoved signals of one connection.
class Jobs {
 public:
  static absl::Status Watch(sd_bus* bus, Jobs* jobs) {
    int result = sd_bus_match_signal(bus, nullptr, kSystemd, kManagerPath, kManagerInterface,
                                     "JobRemoved", &Jobs::OnRemoved, jobs);
    if (result < 0) return ToStatus(result, BusError(), "watch jobs");
    BusError error;
    result = sd_bus_call_method(bus, kSystemd, kManagerPath, kManagerInterface, "Subscribe",
                                &error.error, nullptr, "");
    return result < 0 ? ToStatus(result, error, "watch jobs") : absl::OkStatus();
  }

  // systemd's word for how `job` ended: "done", "failed", "timeout", …
  absl::StatusOr<std::string> Await(sd_bus* bus, const std::string& job, absl::Duration limit) {
    const absl::Duration until = SystemClock()->Monotonic() + limit;
    while (results_.count(job) == 0) {
      int result = sd_bus_process(bus, nullptr);
      if (result > 0) continue;
      const absl::Duration left = until - SystemClock()->Monotonic();
      if (left <= absl::ZeroDuration())
        return absl::DeadlineExceededError("systemd has not finished yet");
      if (result == 0) result = sd_bus_wait(bus, absl::ToInt64Microseconds(left) + 1);
      if (result < 0 && result != -EINTR) return ToStatus(result, BusError(), "wait for systemd");
    }
    return results_[job];
  }

 private:
  static int OnRemoved(sd_bus_message* message, void* self, sd_bus_error*) {
    uint32_t id;
    const char *job, *unit, *outcome;
    if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &outcome) >= 0) {
      static_cast<Jobs*>(self)->results_[job] = outcome;
    }
    return 0;
  }
  std::map<std::string, std::string> results_;
};

absl::StatusOr<std::string> RunJob(sd_bus* bus, const char* method, const std::string& unit,
                                   absl::Duration limit) {
  Jobs jobs;
  EMBER_RETURN_IF_ERROR(Jobs::Watch(bus, &jobs));
  BusError error;
  sd_bus_message* raw = nullptr;
  const int result = sd_bus_call_method(bus, kSystemd, kManagerPath, kManagerInterface, method,
                                        &error.error, &raw, "ss", unit.c_str(), "replace");
  const Message reply(raw);
  if (result < 0) return ToStatus(result, error, unit);
  const char* job;
  if (const int read = sd_bus_message_read(reply.get(), "o", &job); read < 0) {
    return ToStatus(read, BusError(), unit);
  }
  return jobs.Await(bus, job, limit);
}

absl::StatusOr<UnitState> ReadState(sd_bus* bus, const std::string& unit) {
  BusError error;
  sd_bus_message* raw = nullptr;
  const int result = sd_bus_call_method(bus, kSystemd, kManagerPath, kManagerInterface, "LoadUnit",
                                        &error.error, &raw, "s", unit.c_str());
  const Message reply(raw);
  if (result < 0) return ToStatus(result, error, unit);
  const char* path;
  if (const int read = sd_bus_message_read(reply.get(), "o", &path); read < 0) {
    return ToStatus(read, BusError(), unit);
  }
  EMBER_ASSIGN_OR_RETURN(const std::string active,
                         StringProperty(bus, path, kUnitInterface, "ActiveState"));
  EMBER_ASSIGN_OR_RETURN(const std::string sub,
                         StringProperty(bus, path, kUnitInterface, "SubState"));
  EMBER_ASSIGN_OR_RETURN(const std::string load,
                         StringProperty(bus, path, kUnitInterface, "LoadState"));
  UnitState state;
  state.description = absl::StrCat(active, " (", sub, ")");
  state.stopped = active == "inactive" || active == "failed";
  state.running = !state.stopped && sub != "auto-restart";
  if (load == "not-found" && state.stopped) {
    return WithHint(
        absl::NotFoundError(absl::StrCat("unit ", unit, ": systemd on this node does not know it")),
        "install the unit, or correct service.systemd");
  }
  state.main_pid = NumberProperty<uint32_t>(bus, path, "MainPID", 'u');
  const int how = NumberProperty<int32_t>(bus, path, "ExecMainCode", 'i');
  const int status = NumberProperty<int32_t>(bus, path, "ExecMainStatus", 'i');
  state.has_exit = how != 0 && !state.running;
  if (state.has_exit) state.exit_status = how == CLD_EXITED ? status : 128 + status;
  return state;
}

}  // namespace

SystemdUnit::SystemdUnit(std::string name)
    : name_(absl::StrContains(name, ".") ? std::move(name) : absl::StrCat(name, ".service")) {}

absl::Status SystemdUnit::Start(absl::Duration limit) const {
  EMBER_ASSIGN_OR_RETURN(const Bus bus, OpenBus());
  EMBER_ASSIGN_OR_RETURN(const std::string outcome, RunJob(bus.get(), "StartUnit", name_, limit));
  if (outcome == "done") return absl::OkStatus();
  const absl::StatusOr<UnitState> state = ReadState(bus.get(), name_);
  return WithHint(
      absl::FailedPreconditionError(absl::StrCat("start unit ", name_, ": ", outcome,
                                                 state.ok() ? ", now " + state->description : "")),
      absl::StrCat("see `systemctl status ", name_, "` on this node"));
}

absl::Status SystemdUnit::Stop(absl::Duration limit) const {
  EMBER_ASSIGN_OR_RETURN(const Bus bus, OpenBus());
  const absl::StatusOr<std::string> outcome = RunJob(bus.get(), "StopUnit", name_, limit);
  EMBER_RETURN_IF_ERROR(outcome.status());
  EMBER_ASSIGN_OR_RETURN(const UnitState state, ReadState(bus.get(), name_));
  if (state.stopped) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("stop unit ", name_, ": ", *outcome, ", now ", state.description));
}

absl::Status SystemdUnit::Kill(int signal) const {
  EMBER_ASSIGN_OR_RETURN(const Bus bus, OpenBus());
  BusError error;
  const int result =
      sd_bus_call_method(bus.get(), kSystemd, kManagerPath, kManagerInterface, "KillUnit",
                         &error.error, nullptr, "ssi", name_.c_str(), "all", signal);
  return result < 0 ? ToStatus(result, error, name_) : absl::OkStatus();
}

absl::StatusOr<UnitState> SystemdUnit::State() const {
  EMBER_ASSIGN_OR_RETURN(const Bus bus, OpenBus());
  return ReadState(bus.get(), name_);
}

absl::Status CheckSystemd() {
  EMBER_ASSIGN_OR_RETURN(const Bus bus, OpenBus());
  const absl::StatusOr<std::string> version =
      StringProperty(bus.get(), kManagerPath, kManagerInterface, "Version");
  if (version.ok()) return absl::OkStatus();
  return WithHint(absl::UnavailableError(absl::StrCat("systemd does not answer on this node: ",
                                                      version.status().message())),
                  "use service.exec on a node without systemd");
}

}  // namespace ember::agent
